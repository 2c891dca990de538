r"""Where in texts something may be found: one pass of a fast pattern per family, over all texts of a batch joined.

A pattern here is the words that its recognizers begin with, and as much of what must follow as keeps ordinary prose from
firing: "regards" alone is no hit, "regards, A" is. RE2 reads about 500 MB/s while nothing fires and each hit costs about
a microsecond, so precision here is speed.
"""

from collections.abc import Iterator

import numpy as np

from flywheel.components.intake.privacy.patterns import Pattern

Hits = tuple[np.ndarray, np.ndarray]

_GAP = 4  # bytes from one digit to the next in one number, at most
_NOTHING = (np.zeros(0, np.int64), np.zeros(0, np.int64))


def _hits(compiled: Pattern, raw: bytes) -> Hits:
    places = compiled.finds(raw)
    if not places:
        return _NOTHING
    starts, ends = np.array(places, np.int64).T
    return starts, ends


_TOKENS = Pattern(
    r"@|%40|&#(?:64|x40);|\s(?:dot|punkt|punto|point|ponto)\s|[\[({<]\s*(?:at|ät|dot|punkt|\.)\s*[\])}>]"
    r"|\sat\s+(?:gmail|yahoo|hotmail|outlook|icloud|gmx|proton|aol|web)"
    r"|::|[0-9a-f]{1,4}:[0-9a-f]{0,4}:|[0-9a-f]{2}-[0-9a-f]{2}-[0-9a-f]{2}-|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}"
    r"|\d\.\d{1,3}\.\d{1,3}\.\d"
    r"|sk[\-_][a-z0-9\-_]{8}|[rp]k_(?:live|test)|gh[pousr]_|github_pat_|glpat-|hf_[a-z0-9]{20}|AKIA|ASIA|AROA|AIDA"
    r"|AIza|ya29\.|xox[a-z]-|npm_[a-z0-9]{8}|pypi-[a-z0-9]{8}|dop_v1_|SG\.[a-z0-9_\-]{8}|nvapi-|shpat_|eyJ[a-z0-9]"
    r"|://[^\s/]{3,64}:|[?&;#][a-z_\-]{1,40}=|(?:bearer|basic|token)\s+[a-z0-9._~+/=\-]{16}"
    r"|(?:key|secret|token)[\"']?\s*(?:is|are|[:=])+\s*[\"']?[a-z0-9._~+/=\-]{8}"
    r"|(?:pass(?:word|wd|phrase|code)|pwd|wort|passe|contrase[ñn]a|senha|wachtwoord|d'ordine|пароль|パスワード|密码)"
    r"[\"']?\s*(?:[:=：]|is|was|ist|est|es|lautet|war|é|è|是|は)"
)


def key_blocks(raw: bytes) -> Hits:
    """Private keys in PEM blocks."""
    places = list(_occurrences(raw, b"-----BEGIN"))
    starts = np.array(places, np.int64)
    return starts, starts + 10


def tokens(raw: bytes) -> Hits:
    """Keys, passwords, tokens, addresses of the net."""
    return _hits(_TOKENS, raw)


def _occurrences(raw: bytes, wanted: bytes) -> Iterator[int]:
    place = raw.find(wanted)
    while place >= 0:
        yield place
        place = raw.find(wanted, place + 1)


def _digits(raw: bytes) -> np.ndarray:
    return np.flatnonzero(np.frombuffer(raw, np.uint8) - np.uint8(48) < 10)


def _digit_runs(raw: bytes, least: int) -> Hits:
    """Runs of digits without gaps longer than `_GAP`."""
    digits = _digits(raw)
    if len(digits) < least:
        return _NOTHING
    first = np.flatnonzero(np.concatenate(([True], np.diff(digits) > _GAP)))
    last = np.concatenate((first[1:] - 1, [len(digits) - 1]))
    enough = last - first + 1 >= least
    return digits[first[enough]], digits[last[enough]] + 1


def _both(one: Hits, other: Hits) -> Hits:
    starts, ends = np.concatenate((one[0], other[0])), np.concatenate((one[1], other[1]))
    order = np.argsort(starts, kind="stable")
    return starts[order], ends[order]


def accounts(raw: bytes) -> Hits:
    """Cards and accounts: long runs of digits; bank codes of letters."""
    return _digit_runs(raw, 7)


def identities(raw: bytes) -> Hits:
    """Identity numbers and dates."""
    return _digit_runs(raw, 4)


def telephones(raw: bytes) -> Hits:
    """Telephone numbers."""
    return _digit_runs(raw, 7)


_STREET = Pattern(
    r"\b(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|way|place|pl|square|sq|terrace|parkway"
    r"|pkwy|highway|hwy|circle|close|crescent|gardens|mews|trail|row|wharf|nagar|marg|rue|av|bd|chemin|impasse|quai|route"
    r"|cours|calle|c/|avenida|avda|plaza|paseo|camino|carrera|via|viale|piazza|corso|largo|rua|travessa|ul\.|ulica"
    r"|box|postfach|postale)\b"
    r"|(?:all[ée]e|pra[çc]a|stra(?:ß|ss)e|str\.|str|weg|platz|gasse|ufer|damm|ring|straat|laan|plein|gracht|kade|singel"
    r"|gatan|vägen|gata|veien|vej|gade|katu|tie)\s?\d"
    r"|\b(?:Stra(?:ß|ss)e|weg|platz|allee|gasse|ring|damm)\s(?:des|der|am|im)\s"
)
_NEAR = 90  # bytes from the street word to the house number


def places(raw: bytes) -> Hits:
    """Street words with a digit near."""
    starts, ends = _hits(_STREET, raw)
    if not len(starts):
        return _NOTHING
    digits = _digits(raw)
    near = np.searchsorted(digits, ends + _NEAR) > np.searchsorted(digits, starts - _NEAR)
    return starts[near], ends[near]


_UPPER = r"(?-i:\p{Lu}[\p{L}\p{M}'.\-])"
_NAMES = Pattern(
    r"name(?:'s| is|:)|name\s*[:=]|\bi(?:'m| am) called|hei(?:ß|ss)e\s|appelle|llamo|mi nombre|chiamo|(?:mon nom|meu nome|mijn naam)\s"
    r"|chamo|heet\s|nazywam|na imi[ęe]|heter\s|hedder\s|namn är|navnet|nimeni on|ad[ıi]m\s|зовут|имя|tôi là|名前は|我叫|我的名字|我是叫|私は|이름은|저는"
    r"|mein name|il mio nome|mera naam|nama saya|tên tôi"
    r"|\b(?:i'm|i am|im|it's|call me|je suis|soy|ik ben|jag är|jestem|sono|sou [oa]?|я|name's|ich bin(?: (?:der|die))?"
    r"|this is|hier ist|hier spricht|c'est|ici|habla|aquí|parla)\s+"
    + _UPPER
    + r"|(?:dear|hi|hello|hey|good (?:morning|afternoon|evening)|hallo|guten (?:tag|morgen|abend)|liebe[rs]?|geehrte[rs]?"
    r"|bonjour|salut|cher|chère|hola|buenos días|estimad[oa]|querid[oa]|ciao|buongiorno|car[oa]|gentile|egregio|olá"
    r"|prezad[oa]|beste|geachte|hej|дорогой|уважаемый),?\s+(?:(?:mr|mrs|ms|dr|herr|frau|m|mme|sr|sra)\.?\s+)?"
    + _UPPER
    + r"|(?:regards|sincerely|cheers|than(?:ks|k you)(?: (?:again|a lot|so much|in advance|very much))?|thx|best(?: wishes)?"
    r"|all the best|yours(?: (?:truly|faithfully|sincerely))?|mfg|lg|vg|gr(?:ü|ue)(?:ß|ss)en?|danke|gru(?:ß|ss)|cordialement|bien à vous|merci(?: d'avance)?|saludos?"
    r"|atentamente|gracias|saluti|grazie|groet(?:en|jes)?|atenciosamente|obrigad[oa]|abraços|pozdrawiam|hälsningar|hilsen"
    r"|signed|sent by|уважением)\s*[,.!\-:]?\s*\n?\s*(?:[\-–—]+\s*)?"
    + _UPPER
    + r"|(?:--|—|–|~)\s?"
    + _UPPER
    + r"|\b(?:mr|mrs|ms|miss|mx|dr|prof|herr|frau|mme|mlle|monsieur|madame|sr|sra|srta|señora?|don|doña|sig|signora?|dott"
    r"|senhora?|pani?|shri|smt)\.?\s+"
    + _UPPER
    + r"|\b(?:my|meine?|ma|mon|mi) (?:wife|husband|partner|boss|manager|colleague|coworker|friend|son|daughter|brother|sister"
    r"|mother|father|doctor|therapist|neighbou?r|landlord|teacher|frau|mann|freund|freundin|chef|chefin|kollege|kollegin"
    r"|sohn|tochter|femme|mari|esposa|marido|jefe|daughter's name is|son's name is),?\s+"
    r"(?:is called |named |heißt |s'appelle |se llama )?"
    + _UPPER
    + r"|(?:spoke|speak|speaking|talked|talk|spoken|chatted|met|meeting|wrote|complained) (?:to|with)\s+"
    + _UPPER
    + r"|(?:ask for|c/o|attn:?|attention:|signed by|written by|contact person:?|on behalf of)\s+"
    + _UPPER
)


def names(raw: bytes) -> Hits:
    """Introductions, greetings, signatures and titles."""
    return _hits(_NAMES, raw)
