"""Person names where somebody introduces, greets or signs; a name in the middle of a sentence needs a model (NER)."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span

_CAPITAL = r"\p{Lu}[\p{L}\p{M}]*(?:['\-]\p{Lu}?[\p{L}\p{M}]+)*"
_PARTICLE = r"(?:(?:van der|van den|van|von|de la|de|del|della|di|da|dos|do|el|al|bin|ibn|ben|af|ter|zu|la|le|O')\s?)"
_NAME = r"(" + _CAPITAL + r"(?:\s+(?:" + _PARTICLE + r"{0,2}" + _CAPITAL + r"|\p{Lu}\.)){0,3})"
_TWO = r"(" + _CAPITAL + r"(?:\s+(?:" + _PARTICLE + r"{0,2}" + _CAPITAL + r"|\p{Lu}\.)){1,3})"

# The name is certain here, so it may be in lower case too.
_INTRODUCED = Pattern(
    r"(?:my (?:full |first |last |real |user|nick)?name(?:'s| is|:)|(?:full |first |last "
    r"|customer )?name\s*[:=]|the name is|the name's|i am called|i'm called"
    r"|mein name ist|ich hei(?:ß|ss)e|je m'appelle|mon nom est|me llamo|mi nombre es|mi chiamo|il mio nome [èe]"
    r"|meu nome [ée]|me chamo|chamo-me|mijn naam is|ik heet|nazywam si[ęe]|mam na imi[ęe]|jag heter|mitt namn är"
    r"|jeg heter|jeg hedder|navnet mitt er|nimeni on|benim ad[ıi]m|ad[ıi]m|меня зовут|мо[её] имя"
    r"|mera naam|nama saya|tên tôi là)"
    r"\s*:?\s+(\p{L}[\p{L}\p{M}'\-]*(?:\s+(?:\p{L}\.|\p{L}[\p{L}\p{M}'\-]*)){0,3})"
)
_CJK = Pattern(
    r"(?:我叫|我的名字是|我是叫|名前は|私は)\s*([\p{Han}\p{Hiragana}\p{Katakana}]{2,8}?)(?:です|と申し|と言い|[,，。.、!！\s\x1e])"
    r"|(?:제 이름은|저는)\s*([\p{Hangul}]{2,5}?)(?:입니다|이에요|예요|이라고)"
)
_SPEAKER = Pattern(
    r"\b(?:(?i:i'm|i am|im|it's|call me|je suis|soy|ik ben|jag är|jestem|sono|sou [oa]?|yo soy|я|name's))\s+" + _NAME,
    ignore_case=False,
)
_GERMAN_SPEAKER = Pattern(r"(?i:\bich bin(?: (?:der|die))?)\s+" + _TWO, ignore_case=False)
_THIS_IS = Pattern(
    r"(?i:\bthis is|\bhier ist|\bhier spricht|\bc'est|\bici|\bhabla|\baquí|\bparla)\s+(?:"
    + _TWO
    + r"|"
    + _NAME
    + r"\s+(?i:from|here|speaking|calling|again|de|von|vom|aus|da))",
    ignore_case=False,
)
_GREETED = Pattern(
    r"(?:[\x1e\n.!?\"“,(]\s*|\s)(?i:dear|hi|hello|hey|good (?:morning|afternoon|evening)|hallo"
    r"|guten (?:tag|morgen|abend)|liebe[rs]?|lieber|sehr geehrte[rs]?(?: (?:herr|frau))?"
    r"|bonjour|salut|cher|chère|hola|buenos días|estimad[oa]|querid[oa]|ciao|buongiorno|car[oa]"
    r"|gentile|egregio|olá|prezad[oa]|beste|geachte|hej|дорогой|уважаемый)"
    r",?\s+(?:(?i:mr|mrs|ms|dr|herr|frau|m|mme|sr|sra)\.?\s+)?" + _NAME + r"(?:\s*[,!.:;\n]|\s|\x1e)",
    ignore_case=False,
)
_SIGNED = Pattern(
    r"(?i:regards|sincerely(?: yours)?|cheers|thanks(?: (?:again|a lot|so much|in advance))?"
    r"|thank you(?: very much)?|many thanks|thx|best(?: wishes)?|all the best|yours(?: (?:truly"
    r"|faithfully|sincerely))?"
    r"|mfg|lg|vg|gr(?:ü|ue)(?:ß|ss)e(?:n)?|danke|gru(?:ß|ss)|cordialement|bien à vous"
    r"|merci(?: d'avance)?|saludos|atentamente|gracias|un saludo|(?:cordiali |distinti )?saluti"
    r"|grazie|groet(?:en|jes)?"
    r"|atenciosamente|obrigad[oa]|abraços|pozdrawiam|hälsningar|hilsen|signed|sent by|с уважением)"
    r"\s*[,.!\-:]?\s*\n?\s*(?:[\-–—]+\s*)?" + _NAME + r"\s*[.!]?\s*(?:\n|\x1e)",
    ignore_case=False,
)
_DASH_SIGNED = Pattern(r"(?:\x1e|[\n.!?]\s*)(?:--|—|–|~)\s?" + _NAME + r"\s*\x1e", ignore_case=False)
_TITLED = Pattern(
    r"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Mme|Mlle|Monsieur|Madame|Sr|Sra|Srta|Señor|Señora|Don"
    r"|Doña|Sig|Signor|Signora|Dott|Senhor|Senhora|Pan|Pani|Shri|Smt)"
    r"\.?\s+(?:(?:Dr|Prof)\.?\s+)*" + _NAME,
    ignore_case=False,
)
_RELATED = Pattern(
    r"(?i:\bmy (?:wife|husband|partner|boss|manager|colleague|coworker|friend|son|daughter|brother"
    r"|sister|mother|father|doctor|therapist|neighbou?r|landlord|teacher|daughter's name is"
    r"|son's name is)"
    r"|\bmeine? (?:frau|mann|freund|freundin|chef|chefin|kollege|kollegin|sohn|tochter)|\bma femme"
    r"|\bmon mari|\bmi esposa|\bmi marido|\bmi jefe),?\s+(?i:is called |named |heißt |s'appelle "
    r"|se llama )?" + _NAME,
    ignore_case=False,
)
_SPOKEN_TO = Pattern(
    r"(?i:\b(?:spoke|speak|speaking|talked|talk|spoken|chatted|met|meeting|wrote|complained) (?:to"
    r"|with)|\bask for|\bc/o|\battn:?|\battention:|\bsigned by|\bwritten by|\bcontact person:?"
    r"|\bon behalf of)\s+" + _TWO,
    ignore_case=False,
)

_STOP_WORDS_TEXT = """
a about absolutely again all almost already also always am an and any anyone anything are as asking at back bad
based because been being both but by can can't cannot could curious customer confused disappointed do does doing
done don't each either else even ever everyone everybody excellent exactly experiencing facing fine folks for from
fully getting glad going gone good great guys had happy has have having he hello help her here hi his hoping how
however i i'd i'll i'm i've if impressed in incorrect interested is it it's its just know last let living located
logged looking lost madam ma'am maybe me missing mine more most my need never new nice no none nor not nothing now
of off ok okay old on once one only or our out over please pleased pretty probably quite ready really right running
sad satisfied seeing she should shown sir so some someone something sorry spelled still stuck such sure support
super surprised team than thank thanks that that's the their them then there these they things this those thrilled
tired to too totally truly trying unable unhappy unsure until up upset us used user using very waiting was we well
were what when where which while who why will willing with wondering working world worried would wrong yes yet you
your yours i.e e.g etc best regards cheers sincerely dear hey mr mrs ms dr admin agent ai alexa android apple amazon
america american app assistant august australia australian austrian bot brazilian british canada canadian chatbot
chatgpt chat chinese christian claude company copilot customers danish december developer dutch english engineer
europe european february finnish france french friday gemini german germany google gpt greek hispanic india indian
irish italian italy james' january japan japanese jewish july june korean llama linux macos management manager march
may mexican microsoft model monday muslim norwegian november october openai polish portuguese russian sales saturday
september service siri software spain spanish student sunday swedish swiss teacher thursday tuesday turkish uk
ukrainian usa usd wednesday windows alle alles auch bitte das dass der die ein eine er es gut hier ich ist ja kein
mit nein nicht noch sie sehr und wir zu zusammen zufrieden leute damen herren kunde kundin kundenservice kollegen
freunde welt herr frau bien c'est ce client cliente clients contente content d'accord dans de des désolé désolée du
elle en est et il ils je la le les ma mais merci mon ne non nous oui pas pour que qui sa ses son sur très tout tous
toutes un une vous equipe équipe bueno clientes con el ella equipo esta está este hay las lo los mi muy para pero
por qué se señor señores si sí su todos tu una usted y yo amigo amigos bene buona che ciao del della di gli grazie
io per più sono tutti uno ik het een van niet goed bonjour hallo hola
"""
_STOP_WORDS = frozenset(_STOP_WORDS_TEXT.split())


def words_of(name: str) -> tuple[str, ...]:
    """Return the single names in a name (given, family) that are telling enough to look for on their own."""
    words = tuple(word.strip(".'") for word in name.split())
    return tuple(word for word in words if len(word) >= 3 and word[:1].isupper() and word.lower() not in _STOP_WORDS)


def _name_span(text: str, start: int, end: int) -> Span | None:
    """Shorten a run of words to the name in it: it ends before the first word that is no name."""
    kept = start
    index = start
    while index < end:
        while index < end and text[index].isspace():
            if text[index] == "\n":
                end = index
            index += 1
        begin = index
        while index < end and not text[index].isspace():
            index += 1
        word = text[begin:index]
        if not word or word.lower().strip(".'’-") in _STOP_WORDS or word.lower() in _STOP_WORDS:
            break
        if len(word) == 1 and word.isascii() and not word.isupper():
            break
        kept = index
        if word.endswith(".") and len(word) > 2:
            break  # the sentence ends here
    while kept > start and text[kept - 1] in ".'’-":
        kept -= 1
    return Span(start, kept, "NAME") if kept - start >= 2 else None


def _recognizer(compiled: Pattern, *, certain: bool = False) -> Recognizer:
    def recognize(text: str) -> Iterator[Span]:
        for match in compiled.finditer(text):
            for group in range(1, compiled.groups + 1):
                start, end = match.span(group)
                if start < 0:
                    continue
                span = _name_span(text, start, end)
                if span is None:
                    continue
                yield _until_lower_case(text, span) if certain else span

    return recognize


def _until_lower_case(text: str, span: Span) -> Span:
    """After a certain introduction: a capitalised name ends where lower case begins; a lower-case one after two."""
    words = text[span.start : span.end].split(" ")
    if words[0][:1].isupper():
        kept = [words[0]]
        for word in words[1:]:
            if not (
                word[:1].isupper() or word.lower() in ("van", "von", "de", "der", "del", "di", "da", "la", "bin", "al")
            ):
                break
            kept.append(word)
    else:
        kept = words[:2]
    return Span(span.start, span.start + len(" ".join(kept)), "NAME")


RECOGNIZERS: tuple[Recognizer, ...] = (
    _recognizer(_INTRODUCED, certain=True),
    _recognizer(_CJK),
    _recognizer(_TITLED),
    _recognizer(_SPEAKER),
    _recognizer(_GERMAN_SPEAKER),
    _recognizer(_THIS_IS),
    _recognizer(_GREETED),
    _recognizer(_SIGNED),
    _recognizer(_DASH_SIGNED),
    _recognizer(_RELATED),
    _recognizer(_SPOKEN_TO),
)
