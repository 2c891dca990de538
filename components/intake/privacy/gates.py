"""One cheap pattern per family of recognizers that fires on every text in which the family could find something.

A gate may fire for nothing (that costs time); it may never stay silent where a recognizer would match (that costs
privacy): tests compare gated with ungated results.
"""

from flywheel.components.intake.privacy.spans import pattern

_CREDENTIALS = (
    r"sk[\-_]|[rp]k_(?:live|test)|gh[pousr]_|github_pat_|glpat-|hf_|AKIA|ASIA|AROA|AIDA|AIza|ya29\."
    r"|xox[a-z]-|npm_|pypi-|dop_v1_"
    r"|SG\.|nvapi-|shpat_|eyJ|-----BEGIN|://|[?&;#][a-z_\-]+=|bearer|basic |token|key|secret|pass|pwd"
    r"|kennwort|contrase"
    r"|senha|wachtwoord|parola|пароль|パスワード|密码"
)
_EMAIL = (
    r"@|[\[({<]\s*(?:at|ät|dot|punkt|\.)\s*[\])}>]|\s(?:dot|punkt|punto|point|ponto)\s"
    r"|\sat\s(?:gmail|yahoo|hotmail|outlook|icloud|gmx|proton|aol|web)"
)
_NUMBERS = (
    r"\d(?:[^\d\x1e]{0,3}\d){3}|::|[0-9a-f]{1,4}:[0-9a-f]{0,4}:|[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}-"
    r"|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}|iban|passport|reisepass|pasap|passeport|ausweis|licen[cs]e|identi|steuer"
    r"|swift|\bbic|born|birth|d\.?o\.?b\b|gebor|geburts|geb\.|n[ée]e? le|naissance|anniversaire|nacid"
    r"|nac[ií]|nacimiento"
    r"|cumplea|nat[oa] il|nascit|nascid"
)
_PLACES = (
    r"\d[a-z]?,?\s+(?:bis |ter )?\p{L}|(?:str|weg|platz|allee|gasse|ufer|damm|ring|straat|laan|plein"
    r"|gracht|kade|singel|gatan|vägen|gata|veien|vej|gade|katu|tie)\.?\s?\d"
    r"|(?:stra(?:ß|ss)e)\s?\d|\p{L}\.?,?\s+(?:n(?:[º°.]|úm\.?)\s*)?\d|box\s+\d|postfach|postale"
)
_NAMES = (
    r"name|called|hei(?:ß|ss)e|appelle|llamo|nombre|chiamo|nome|chamo|naam|heet|nazywam|imi[ęe]|heter"
    r"|hedder|navnet|nimeni"
    r"|ad[ıi]m|зовут|имя|tôi là|我|名前|私|이름|저는|i'm|\bi am\b|\bim\s|it's|call me|suis|\bsoy\b|\bik ben\b"
    r"|\bjag är\b|jestem"
    r"|\bsono\b|\bsou\b|я\s|\bich bin\b|this is|hier |c'est|\bici\b|habla|aquí|parla|dear|\bhi\b"
    r"|hello|hey|good |hallo|guten|liebe|geehrte"
    r"|bonjour|salut|cher|chère|hola|buenos|estimad|querid|ciao|buongiorno|\bcar[oa]\b|gentile"
    r"|egregio|olá|prezad|beste|geachte|hej"
    r"|дорогой|уважаемый|regards|sincerely|cheers|than[kx]|thx|best|yours|mfg|\blg\b|\bvg\b|gr(?:ü"
    r"|ue)(?:ß|ss)|danke|gru(?:ß|ss)"
    r"|cordialement|bien à vous|merci|saludo|atentamente|gracias|saluti|grazie|groet|obrigad|abraços"
    r"|pozdrawiam|hälsningar|hilsen"
    r"|signed|sent by|уважением|--|—|–|~|\b(?:mr|mrs|ms|miss|mx|dr|prof|herr|frau|mme|mlle|monsieur"
    r"|madame|sr|sra|srta|don|sig|signora?"
    r"|dott|senhora?|pani?|shri|smt)\b|señor|doña|\bmy\s|\bmeine?\s|femme|mari\b|esposa|marido|jefe"
    r"|ask for|\b(?:to|with) \p{Lu}|c/o|attn|attention"
    r"|written by|contact person|behalf"
)  # fmt: skip

GATES = {
    "credentials": pattern(_CREDENTIALS),
    "email": pattern(_EMAIL),
    "numbers": pattern(_NUMBERS),
    "places": pattern(_PLACES),
    "names": pattern(_NAMES),
}
