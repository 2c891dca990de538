"""Person names where somebody introduces, greets or signs; a name in the middle of a sentence needs a model (NER)."""

import re
from collections.abc import Iterator

from flywheel.components.intake.privacy.no_names import ALSO_NAMES, NEVER_SECOND, NO_NAMES
from flywheel.components.intake.privacy.patterns import Pattern, short
from flywheel.components.intake.privacy.spans import Recognizer, Span

_CAPITAL = r"\p{Lu}[\p{L}\p{M}]*(?:['\-]\p{Lu}?[\p{L}\p{M}]+)*"
_PARTICLES = (
    "van der den von zu zur vom de la del della dei di da dos do das du des "
    "el al bin ibn ben af av ter ten le los las y e i"
)
_PARTICLE_WORDS = frozenset(_PARTICLES.split())
_WORDS = short(r"\S+")
_PARTICLE = r"(?:(?:" + "|".join(_PARTICLES.split()) + r"|O')\s?)"
_NAME = r"(" + _CAPITAL + r"(?:\s+(?:" + _PARTICLE + r"{0,3}" + _CAPITAL + r"|\p{Lu}\.)){0,3})"
_TWO = r"(" + _CAPITAL + r"(?:\s+(?:" + _PARTICLE + r"{0,3}" + _CAPITAL + r"|\p{Lu}\.)){1,3})"

# The name is certain here, so it may be in lower case too.
_INTRODUCTIONS = (
    r"(?:my (?:full |first |last |real |user|nick)?name(?:'s| is|:)|i am called|i'm called|i go by"
    r"|mein (?:vor|nach|familien)?name (?:ist|lautet)|(?:vor|nach)?name ist|ich hei(?:ß|ss)e|je m'appelle|je me nomme"
    r"|mon (?:pr[ée])?nom est"
    r"|me llamo|mi nombre(?: completo)? es|mi chiamo|il mio nome [èe]|meu nome(?: completo)? [ée]|me chamo|chamo-me"
    r"|o meu nome é"
    r"|mijn naam is|ik heet|nazywam si[ęe]|mam na imi[ęe]|jag heter|mitt namn [äe]r|mit navn er|jeg heter|jeg hedder"
    r"|navnet mitt er"
    r"|nimeni on|minun nimeni on|jmenuji se|volám sa|mé jméno je|moje jméno je|a nevem|nevem|numele meu este|mă numesc"
    r"|mă cheamă"
    r"|zovem se|moje ime je|ime mi je|ime mi|με λένε|ονομάζομαι|το όνομά μου είναι|benim ad[ıi]m|ad[ıi]m|меня зовут"
    r"|мо[её] имя|мене звати|моє ім'я"
    r"|казвам се|името ми е|mera naam|nama saya|tên tôi là|anh gọi tôi là|jina langu ni|ako si|pangalan ko ay"
    r"|ang pangalan ko ay)"
)
_LABELS = (
    r"(?:[\s\x1e\"'({,;|>](?:full |first |last |family |given |customer |account |contact |user ?"
    r"|sur)?name[\"']?\s*[:=]"
    r"|\bthe name(?:'s| is)|[\s\x1e](?:imię i nazwisko|имя|фио|jméno|navn|namn|nimi|nome|nombre|nom|ad soyad)\s*:)"
)
_LABELLED = Pattern(r"(?i:" + _LABELS + r")\s*[\"']?" + _NAME, ignore_case=False)
_INTRODUCED = Pattern(
    _INTRODUCTIONS + r"\s*:?\s+(\p{L}[\p{L}\p{M}'’\-]*(?:\s+(?:\p{L}\.|\p{L}[\p{L}\p{M}'’\-]*)){0,5})"
)
_CJK_LEADS = (
    r"(?:我叫|我的名字是|我的名字叫|我是叫|姓名[：:]|名前は|私の名前は|私は|氏名[：:]|제 이름은|저는|이름[：:])"
)
_CJK = Pattern(
    r"(?:我叫|我的名字是|我的名字叫|我是叫|姓名[：:]|私の名前は|名前は|私は|氏名[：:])\s*([\p{Han}\p{Hiragana}\p{Katakana}]{2,8}?)(?:です|と申し|と言い"
    r"|[,，。.、!！\s\x1e])"
    r"|(?:제 이름은|저는|이름[：:])\s*([\p{Hangul}]{2,5}?)(?:입니다|이에요|예요|이라고|[,.\s\x1e])"
)
_SPEAKERS = (
    r"(?:\b|[\s\x1e(,.:])(?:i'm|i am|im|it's|call me|je suis|soy|ik ben|jag är|jestem"
    r"|sono|sou [oa]?|yo soy|jeg er|olen|jsem|sunt|я|name's)"
)
_SPEAKER = Pattern(r"(?i:" + _SPEAKERS + r")\s+" + _NAME, ignore_case=False)
# After a word that greets or joins nothing, "im" is German ("bei Ihnen im Laden") and not "I'm".
_IM = re.compile(r"(\w+)\s+im\s+$", re.IGNORECASE)
_OPENERS_TEXT = "hi hey hello and so but yes no ok okay well sorry thanks oh because since"
_OPENERS = frozenset(_OPENERS_TEXT.split())
_GERMAN_SPEAKERS = r"\bich bin(?:'s)?,?(?: (?:der|die))?"
_GERMAN_SPEAKER = Pattern(r"(?i:" + _GERMAN_SPEAKERS + r")\s+" + _TWO, ignore_case=False)
_THIS = (
    r"(?:\b|[\s\x1e(,.:])(?:this is|hier ist|hier spricht|hier schreibt|c'est"
    r"|ici|habla|aquí|parla|hier is|det är|det er|tu mówi|это)"
)
_THIS_IS = Pattern(
    r"(?i:"
    + _THIS
    + r")\s+(?:"
    + _TWO
    + r"|"
    + _NAME
    + r"\s+(?i:from|here|speaking|calling|again|writing|de|von|vom|aus|da|van))",
    ignore_case=False,
)
_HERE = Pattern(r"(?:[\x1e\n.!?,]\s*)" + _NAME + r"\s(?:here|speaking|calling)\b[,.!:\-]?", ignore_case=False)
_GREETINGS = (
    r"(?:dear|hi|hello|hey|good (?:morning|afternoon|evening)|hallo"
    r"|guten (?:tag|morgen|abend)|liebe[rs]?|lieber|(?:sehr )?geehrte[rs]?(?: (?:herr|frau))?"
    r"|bonjour|salut|cher|chère|hola|buenos días|estimad[oa]|querid[oa]|ciao|buongiorno|car[oa]"
    r"|gentile|egregio|olá|prezad[oa]|caro|cara|beste|geachte|hej|hei|kære|kjære|hyvä|vážen[ýá]|szanown[ya]|drogi"
    r"|droga|cześć|ahoj"
    r"|дорог(?:ой|ая)|уважаем(?:ый|ая)|привет|здравствуйте|шановн(?:ий|а)|αγαπητ[έή]|sayın|merhaba|dragă|stimat[ăe])"
    r",?\s+(?:(?:mr|mrs|ms|dr|herr|frau|m|mme|sr|sra)\.?\s+)?"
)
_GREETED = Pattern(
    r"(?:[\x1e\n.!?\"“,(]\s*|\s)(?i:" + _GREETINGS + r")" + _NAME + r"(?:\s*[,!.:;\n]|\s|\x1e)", ignore_case=False
)
_CLOSINGS = (
    r"(?:\b|\s)(?:regards|sincerely(?: yours)?|cheers|than(?:ks|k you)(?: (?:again|a lot|so much|in advance"
    r"|very much))?"
    r"|many thanks|thx|best wishes|best\s*[,.!\n\-–]|all the best|yours(?: (?:truly|faithfully|sincerely))?|cordially"
    r"|respectfully"
    r"|mfg|lg|vg|bg|gr(?:ü|ue)(?:ß|ss)e(?:n)?|danke|gru(?:ß|ss)|hochachtungsvoll|cordialement|bien à vous|sincèrement"
    r"|salutations"
    r"|merci(?: d'avance)?|saludos(?: cordiales)?|atentamente|gracias|un saludo|(?:cordiali |distinti )?saluti"
    r"|grazie|groet(?:en|jes)?|hoogachtend|atenciosamente|cumprimentos|obrigad[oa]|abraços|pozdrawiam|poważaniem"
    r"|hälsningar|hälsning|mvh|vh"
    r"|hilsen|terveisin|pozdravem|pozdravom|pozdrav|üdvözlettel|tisztelettel|stimă|saygılarımla|selamlar|уважением"
    r"|повагою|εκτίμηση"
    r"|signed|sent by|written by|yours)"
)
_SIGNED = Pattern(
    r"(?i:" + _CLOSINGS + r"\s*[,.!\-:]?\s*\n?\s*(?:[\-–—]+\s*)?)" + _NAME + r"\s*[.!]?\s*(?:\n|\x1e)",
    ignore_case=False,
)
_DASH_SIGNED = Pattern(r"(?:\x1e|[\n.!?]\s*)(?:--|—|–|~)\s?" + _NAME + r"\s*\x1e", ignore_case=False)
_TITLES = (
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|Sr|Sra|Srta|Señor|Señora|Don"
    r"|Doña|Sig|Signor|Signora|Dott|Dhr|Mevr|Mevrouw|Meneer|Senhor|Senhora|Pan|Pani|Paní|Shri|Smt|Sir|Rev|Fr|Hr|Fru)\.?"
)
_TITLED = Pattern(_TITLES + r"\s+(?:(?:Dr|Prof)\.?\s+)*" + _NAME, ignore_case=False)
_RELATIVES = (
    r"(?:\bmy (?:wife|husband|partner|boss|manager|colleague|coworker|friend|son|daughter|brother"
    r"|sister|mother|father|doctor|therapist|neighbou?r|landlord|teacher|flatmate|roommate|girlfriend|boyfriend|uncle"
    r"|aunt|cousin|lawyer"
    r"|daughter's name is|son's name is)"
    r"|\bmeine? (?:frau|mann|freund|freundin|chef|chefin|kollege|kollegin|sohn|tochter|bruder|schwester|mutter|vater"
    r"|nachbar|nachbarin)"
    r"|\bma (?:femme|fille|sœur|mère|collègue)|\bmon (?:mari|fils|frère|père|collègue|patron)"
    r"|\bmi (?:esposa|marido|mujer|hijo|hija|hermano|hermana|madre|padre|jefe|jefa)|\bmi[oa] (?:marito|moglie|figlio"
    r"|figlia)),?\s+"
    r"(?:is called |named |heißt |s'appelle |se llama |si chiama )?"
)
_RELATED = Pattern(r"(?i:" + _RELATIVES + r")" + _NAME, ignore_case=False)
_DEALINGS = (
    r"(?:\b(?:spoke|speak|speaking|talked|talk|spoken|chatted|met|meeting|wrote|complained) (?:to"
    r"|with)|\bask for|\bc/o|\battn:?|\battention:|\bsigned by|\bwritten by|\bcontact person:?"
    r"|\bon behalf of|\bz\.?\s?hd\.?(?: von)?|\bgesprochen mit|\bim auftrag von)"
)
_SPOKEN_TO = Pattern(r"(?i:" + _DEALINGS + r")\s+" + _TWO, ignore_case=False)


def _trigger(upper: str) -> str:
    return (
        _INTRODUCTIONS + r"|" + _LABELS + r"\s*[\"']?" + upper + r"|" + _CJK_LEADS
        + r"|(?:" + "|".join((_SPEAKERS, _GERMAN_SPEAKERS, _THIS, _DEALINGS)) + r")\s+" + upper
        + r"|\s(?:here|speaking|calling)\b|" + _GREETINGS + upper + r"|"
        + _CLOSINGS + r"\s*[,.!\-:]?\s*\n?\s*(?:[\-–—]+\s*)?" + upper
        + r"|(?:--|—|–|~)\s?" + upper + r"|(?-i:" + _TITLES + r")\s+" + upper + r"|" + _RELATIVES + upper
    )  # fmt: skip


TRIGGER = _trigger(r"(?-i:\p{Lu}[\p{L}\p{M}'’.\-])")
COARSE_TRIGGER = _trigger(r"(?-i:[A-Z]|[^\x00-\x7f])")  # matches wherever the other does


def words_of(name: str) -> tuple[str, ...]:
    """Return the single names in a name (given, family) that are telling enough to look for on their own."""
    words = tuple(word.strip(".'") for word in name.split())
    return tuple(word for word in words if len(word) >= 3 and word[:1].isupper() and word.lower() not in NO_NAMES)


def _name_span(text: str, start: int, end: int, certain: bool) -> Span | None:
    """Shorten a run of words to the name in it: it ends before the first word that is no name.

    After a certain introduction ("my name is") the name may be in lower case, one or two words then.
    """
    line = text.find("\n", start, end)
    words = [(match.start(), match.end()) for match in _WORDS.finditer(text, start, line if line > start else end)]
    kept = start
    count = 0  # words of the name so far, without particles
    capital = bool(words) and text[words[0][0]].isupper()
    for number, (begin, stop) in enumerate(words):
        word = text[begin:stop]
        lower = word.lower().strip(".'’-")
        if count and lower in _PARTICLE_WORDS and not word[0].isupper():
            continue
        if count and capital and not (word[0].isupper() or word[0] == "O"):
            break
        if (lower in NEVER_SECOND) if count and word[0].isupper() else _no_name(lower, text, words, number, certain):
            break
        if len(word) == 1 and word.isascii() and not word.isupper():
            break
        if not (certain or count or word[0].isupper() or word[0] in "'’" or not _cased(word[0])):
            break
        kept, count = stop, count + 1
        if (word.endswith(".") and len(word) > 2) or (not capital and count == 2):
            break
    while kept > start and text[kept - 1] in ".'’-":
        kept -= 1
    return Span(start, kept, "NAME") if kept - start >= 2 else None


def _cased(letter: str) -> bool:
    return letter.upper() != letter.lower()


def _no_name(lower: str, text: str, words: list[tuple[int, int]], number: int, certain: bool) -> bool:
    if lower not in NO_NAMES:
        return False
    if lower not in ALSO_NAMES or text[words[number][0]].islower():
        return True
    following = text[slice(*words[number + 1])] if number + 1 < len(words) else ""
    return not (certain or (following[:1].isupper() and following.lower() not in NEVER_SECOND))


def _recognizer(compiled: Pattern, *, certain: bool = False) -> Recognizer:
    def recognize(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            for group in range(1, compiled.groups + 1):
                start, end = match.span(group)
                span = _name_span(text, start, end, certain) if start >= 0 else None
                if span is not None:
                    yield span

    return recognize


def _speaker(text: str) -> Iterator[Span]:
    for match in _SPEAKER.finditer(text):
        start, end = match.span(1)
        before = _IM.search(text[max(0, match.start() - 20) : start])
        if before and before[1].lower() not in _OPENERS:
            continue
        span = _name_span(text, start, end, False)
        if span is not None:
            yield span


RECOGNIZERS: tuple[Recognizer, ...] = (
    _recognizer(_INTRODUCED, certain=True),
    _recognizer(_LABELLED, certain=True),
    _recognizer(_CJK),
    _recognizer(_TITLED),
    _speaker,
    _recognizer(_GERMAN_SPEAKER),
    _recognizer(_THIS_IS),
    _recognizer(_HERE),
    _recognizer(_GREETED),
    _recognizer(_SIGNED),
    _recognizer(_DASH_SIGNED),
    _recognizer(_RELATED),
    _recognizer(_SPOKEN_TO),
)
