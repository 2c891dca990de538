"""Street addresses: a house number next to a street word in the order of many languages, or after "I live at"."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span, by_group

_WORD = r"\p{Lu}[\p{L}\p{M}'’.\-]*"
# Words that are street words whatever stands around; USPS Publication 28, appendix C1, and Commonwealth usage.
_PLAIN_SUFFIX = (
    r"street|avenue|road|lane|drive|boulevard|court|square|terrace|parkway|highway|crescent|gardens|mews|close|grove"
    r"|circle"
    r"|turnpike|esplanade|expressway|freeway|causeway|nagar|marg|chowk|salai|path|walk|way|row|trail|loop|alley|plaza"
    r"|place"
)
_SHORT_SUFFIX = r"st|ave|av|rd|ln|dr|blvd|ct|pl|sq|ter|pkwy|hwy|cres|cir|tpke|expy|pde|gr"
# Suffixes that are also plain words: only between capitals.
_RARE_SUFFIX = (
    r"annex|arcade|bayou|beach|bend|bluffs?|bottom|branch|bridge|brooks?|burgs?|bypass|camp|canyon|cape|center|centers"
    r"|circles"
    r"|cliffs?|club|common|commons|corners?|course|courts|coves?|creek|crest|crossing|crossroad|curve|dale|dam|divide"
    r"|drives"
    r"|estates?|extensions?|falls?|ferry|fields?|flats?|fords?|forest|forges?|forks?|fort|garden|gateway|glens?"
    r"|greens?|groves"
    r"|harbors?|haven|heights|hills?|hollow|inlet|islands?|isle|junctions?|keys?|knolls?|lakes?|land|landing|lights?"
    r"|loaf|locks?"
    r"|lodge|mall|manors?|meadows?|mews|mills?|mission|motorway|mount|mountains?|neck|orchard|oval|overpass|parks?"
    r"|parkways"
    r"|pass|passage|pike|pines?|plains?|plazas|points?|ports?|prairie|radial|ramp|ranch|rapids?|rest|ridges?|river"
    r"|roads"
    r"|route|rue|run|shoals?|shores?|skyway|springs?|spurs?|squares|station|stravenue|stream|streets|summit|throughway"
    r"|trace"
    r"|track|trafficway|tunnel|underpass|unions?|valleys?|viaduct|views?|villages?|ville|vista|walks|wall|ways|wells?"
    r"|ganj|zila|wharf|parade|quay|rise|dene|croft|drove|gate|wynd|yard|circus"
)
_SUFFIX = r"(?:(?i:" + _PLAIN_SUFFIX + r"|" + _SHORT_SUFFIX + r"|" + _RARE_SUFFIX + r"))"
_FLAT = (
    r"(?:(?i:apt|apartment|suite|ste|unit|flat|floor|studio|room|rm|bldg|"
    r"building|shop|lot|level|#|no)\.?\s*[\p{L}\p{N}\-]{1,6})"
)
_TAIL = (
    r"(?:,?\s+" + _FLAT + r")?"
    r"(?:,?\s+(?:" + _WORD + r"\s?){1,3},?\s+(?:[A-Z]{2,3}\s+)?(?:\d{5}(?:-\d{4})?|\d{6}|\d{4}|[A-Z]\d[A-Z]\s?\d[A-Z]\d"
    r"|[A-Z]{1,2}\d[A-Z0-9]?\s?\d[A-Z]{2})\b)?"
)
_NUMBER = r"(?:\d{1,6}(?:[/\-]\d{1,5})?[A-Za-z]?)"
_ENGLISH = Pattern(
    r"((?:" + _FLAT + r",?\s+)?\b" + _NUMBER + r",?\s+(?:(?:[NSEW]|North|South|East|West)\.?\s+)?(?:(?:"
    + _WORD + r"|\d{1,3}(?:st|nd|rd|th))\s+){1,4}" + _SUFFIX + r"\b\.?(?:\s+(?:NW|NE|SW|SE|[NSEW])\b)?" + _TAIL + r")",
    ignore_case=False,
)  # fmt: skip
_FLAT_FIRST = Pattern(
    r"((?:Flat|Studio|Unit|Apartment|Apt\.?|Suite|Shop|Room|H\.?\s?No\.?|House No\.?|Plot No\.?|Door No\.?)\s*"
    + _NUMBER + r",?\s+(?:\d{1,5}[A-Za-z]?,?\s+)?(?:" + _WORD + r",?\s*){1,4}" + _TAIL + r")",
    ignore_case=False,
)  # fmt: skip
_LOWER = Pattern(
    r"(\b\d{1,5}[a-z]?\s+(?:(?:north|south|east|west)\s+)?(\p{L}+)\s+(?:street|st|avenue|ave|road|rd"
    r"|lane|boulevard|blvd|drive)\b\.?)"
)
_HOUSE = r"\d{1,4}\s?[a-zA-Z]?(?:\s?[\-–/]\s?\d{1,4}[a-zA-Z]?){0,2}\b"
_GERMANIC_END = (
    r"(?:stra(?:ß|ss)e|str\.|str|weg|platz|allee|gasse|ufer|damm|ring|hof|berg|park|steig|graben|chaussee|zeile|markt"
    r"|kai|winkel"
    r"|straat|laan|plein|gracht|kade|singel|dreef|baan|hof|dijk|steeg|pad|kamp|oever|boulevard|plantsoen|wal|markt"
    r"|gatan|vägen|gata|veien|vegen|vej|gade|torget|torg|torvet|gränden?|stigen|sti|stien|backen|bakken|plassen|allé"
    r"|allén"
    r"|katu|kuja|tie|polku|raitti|puisto|kaari|rinne|ranta|väg|alléen|svingen|vangen|haven|parken|toften|gården|leden)"
)
_GERMANIC = Pattern(
    r"((?:\p{Lu}[\p{L}.\-]*\s){0,2}\p{Lu}[\p{L}'.\-]*" + _GERMANIC_END + r"\s?" + _HOUSE
    + r"(?:,?\s+(?:[A-Z]{1,2}-)?\d{3,5}\s?\d{0,2}\s?(?:[A-Z]{2})?\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)  # fmt: skip
_GERMAN = Pattern(
    r"((?:\p{Lu}[\p{L}\-.]*\s){0,2}(?:\p{Lu}[\p{L}]*-)*(?:Straße|Strasse|Str\.|Weg|Platz|Allee|Gasse|Ring|Damm|Ufer"
    r"|Hof|Gatan|Vägen|Väg|Gata)"
    r"(?:\s(?:des|der|am|im)\s\p{Lu}[\p{L}\-]*)?\s?" + _HOUSE + r"(?:,?\s+(?:D-|A-|CH-)?\d{4,5}\s+\p{Lu}[\p{L}\-]+)?"
    r"|(?:[Aa]m|[Aa]n der|[Aa]uf der|[Ii]m|[Zz]um|[Zz]ur|[Uu]nter den|[Ii]n der)\s\p{Lu}[\p{L}\-]+\s" + _HOUSE
    + r",?\s+(?:D-|A-|CH-)?\d{4,5}\s+\p{Lu}[\p{L}\-]+)",
    ignore_case=False,
)  # fmt: skip
_JOIN = (
    r"(?:(?:de|du|des|del|della|delle|dei|degli|di|da|do|dos|das|la|le|les|"
    r"los|las|el|sur|sous|en|y|e)\s+|l['’]|d['’]|dell['’])"
)
_PROPER = (
    r"(?:" + _JOIN + r"){0,3}[\p{Lu}\d][\p{L}\p{M}'’\-.]*(?:\s+(?:" + _JOIN + r"){0,2}\p{Lu}[\p{L}\p{M}'’\-.]*){0,4}"
)
_ROMANCE_WAY = (
    # French
    r"rue|avenue|av\.|boulevard|bd|bld|place|chemin|all[ée]e|impasse|quai|route|cours|square|passage|sentier|ruelle"
    r"|faubourg"
    # Spanish
    r"|calle|c/|c\.|avenida|avda?\.?|av\.?|plaza|pza\.?|paseo|p\.º|camino|carrera|cra\.?|cuesta|glorieta|rambla|ronda"
    r"|callej[óo]n|pasadizo"
    r"|pasaje|acceso|alameda|ca[ñn]ada|vial|v[íi]a|urbanizaci[óo]n|diagonal|transversal|calzada|privada"
    r"|prolongaci[óo]n|andador|eje|circuito"
    r"|cerrada|boulevard|continuaci[óo]n|perif[ée]rico|viaducto|corredor|retorno|circunvalaci[óo]n|autopista|peatonal"
    # Italian
    r"|via|viale|v\.le|piazza|p\.za|piazzale|corso|largo|vicolo|contrada|borgo|strada|stretto|rotonda|canale|incrocio"
    r"|salita|lungomare"
    # Portuguese
    r"|rua|r\.|travessa|tv\.|pra[çc]a|estrada|rodovia|ladeira|beco|viela|via|largo|condom[íi]nio|conjunto|col[ôo]nia"
    r"|quadra|residencial"
    r"|loteamento|n[úu]cleo|parque|passarela|p[áa]tio|recanto|feira|favela|fazenda|esplanada|esta[çc][ãa]o|distrito"
    r"|ch[áa]cara|campo|s[íi]tio"
    r"|setor|trecho|trevo|vale|vereda|vila|viaduto|[áa]rea|aeroporto|alameda|morro|lago|lagoa|jardim|azinhaga"
    r"|cal[çc]ada|rotunda|urbaniza[çc][ãa]o"
    # Romanian, Catalan
    r"|strada|str\.|bulevardul|bd\.|aleea|calea|[șs]oseaua|intrarea|carrer|passeig|pla[çc]a"
)
_NUMBER_BEFORE = Pattern(
    r"(\b\d{1,5}(?:\s?(?:bis|ter|quater|[A-Za-z]))?,?\s+(?i:" + _ROMANCE_WAY + r")\s+" + _PROPER
    + r"(?:,?\s+(?:[A-Z]-)?\d{4,5}\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)  # fmt: skip
_NUMBER_AFTER = Pattern(
    r"((?:\b|^)(?i:" + _ROMANCE_WAY + r")\s*"
    + _PROPER + r",?\s+(?:(?i:n(?:[º°.]|úm\.?|ro\.?|r\.)?|#|num\.?)\s*)?\d{1,5}\s?"
    r"(?:[a-zA-Z]\b|[\-/#]\s?\d{1,4}\b|\b)(?:[ ,]+(?i:piso|puerta|apt\.?|apto\.?|piano|interno|scala|bloque|esc\.?"
    r"|planta|local|ap\.?|bl\.?|sala|andar)"
    r"\s*\d{0,4}[º°a-zA-Z]?)*(?:,?\s+(?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{3})?\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)  # fmt: skip
_SLAVIC_WAY = (
    r"ul\.|ulica|al\.|aleja|aleje|pl\.|plac|os\.|osiedle|rondo|skwer|ulice|n[áa]m\.|n[áa]m[ěe]st[íi]|t[řr][íi]da"
    r"|n[áa]b[řr]\.|n[áa]b[řr]e[žz][íi]"
    r"|ул\.|улица|пр\.|просп?\.|пр-т|проспект|пер\.|переулок|б-р|бул\.|бульвар|ш\.|шоссе|наб\.|набережная|пл\.|площадь"
    r"|алл\.|аллея|проезд|вул\.|вулиця"
    r"|просп\.|провулок|площа|οδός|οδ\.|λεωφ\.|λεωφόρος|πλατεία|utca|u\.|út|útja|tér|tere|körút|krt\.|mah\.|mahallesi"
    r"|cad\.|caddesi|sok\.|sokak|sokağı|bulvarı|blv\."
)
_SLAVIC = Pattern(
    r"((?:\b|\s|\x1e)(?i:" + _SLAVIC_WAY + r")\s*(?:\p{Lu}?[\p{L}.\-]+\s+){0,3}?"
    r"\p{Lu}?[\p{L}.\-]+,?\s+(?i:д\.\s*|дом\s+|č\.?p?\.?\s*|буд\.\s*|no[.:]?\s*)?"
    r"\d{1,4}[\p{L}]?(?:/\d{1,4}[\p{L}]?)?(?:,?\s*(?i:к\.|корп\.|стр\.|кв\.|m\.|lok\.|оф\.|d[:.]"
    r"|kat[:.]?)\s*\d{1,4}(?:/\d{1,4})?){0,3}"
    r"(?:,?\s+\d{2}-\d{3}\s+\p{Lu}[\p{L}\-]+|,?\s+\d{5,6}\s+\p{Lu}[\p{L}\-]+)?)",
    ignore_case=False,
)  # fmt: skip
_WAY_LAST = Pattern(  # Hungary, Turkey: name first, then the word for street, then the number
    r"(\p{Lu}[\p{L}.\-]+(?:\s\p{Lu}[\p{L}.\-]+){0,2}\s(?i:utca|út|útja|tér|tere|körút|krt\.|sokak|sokağı|sk\.|cadde"
    r"|caddesi|cd\.|bulvarı|mahallesi|mah\.)"
    r"(?:[, ]+(?i:no|n)[.:]?)?\s*\d{1,4}\.?(?:/\p{L}?\d{0,4})?)",
    ignore_case=False,
)  # fmt: skip
_ASIAN = Pattern(
    r"([\p{Han}]{2,12}(?:[省市区县縣州都道府郡町村])[\p{Han}\p{Katakana}\p{Hiragana}0-9]{0,24}?(?:路|街|道|巷|弄|大街|丁目|番地|町|條)"
    r"[\p{Han}0-9\-]{0,12}?\d{1,5}(?:[号號室座棟番地之\-]{1,2}\d{0,4})*|[\p{Han}]{2,8}(?:路|街|大道|巷)\s?\d{1,5}[号號]"
    r"|[\p{Hangul}]{1,8}(?:특별시|광역시|시|도)?\s?[\p{Hangul}]{1,6}(?:구|군|시)\s[\p{Hangul}0-9]{1,12}(?:로|길"
    r"|동)\s?\d{1,4}(?:-\d{1,4})?)"
)
_BOX = Pattern(
    r"\b(p\.?\s?o\.?\s?box\s+\d+|postfach\s+\d[\d ]*\d|(?:bo[iî]te postale|b\.?p\.?|apartado(?: de correos)?"
    r"|casella postale"
    r"|caixa postal|postbus|postboks|box|skr\. poczt\.|а/я)\s+\d{1,6})\b"
)
_LEAD = (
    r"(?:\b(?:i|we|he|she|they) (?:still |now )?(?:lives?|living|resides?|stay(?:s|ing)?|moved|am|are) (?:at|to|in|on)"
    r"|\blive at|\bliving at|\bmoved to"
    r"|address(?:es)?(?: is| was)?\s*[:=]?|(?:send|ship|deliver|mail|went|sent|shipped|delivered|mailed) (?:it |them "
    r"|this |that |everything )?to"
    r"|\bwohn\p{L}* (?:in der|in|am|an der|auf der|im)|\bwohnhaft|anschrift\s*:?|adresse(?: ist| lautet| est)?\s*:?"
    r"|bitte an|geliefert (?:an|in die)|schicken sie (?:es |sie )?an"
    r"|\bhabit\p{L}* (?:au|à|le|dans|sur)|j'habite|envoyer (?:au|à)|livr\p{L}* (?:au|à)|demeurant"
    r"|\bviv[oe] en|\breside en|direcci[óo]n(?: es)?\s*:?|domicilio\s*:?|env[íi]en?(?:lo|la|melo)? a|domiciliad[oa] en"
    r"|\babit[oa] (?:in|a)|indirizzo(?: è)?\s*:?|residente in|spedit\p{L}* (?:in|a)|\bwoon\p{L}* (?:op|in|aan)"
    r"|\badres(?: is)?\s*:?"
    r"|\bmor[oa] (?:na|no|em)|endere[çc]o(?: é)?\s*:?|morada(?: é)?\s*:?|\bbor (?:på|i|ved)|adress(?:en)?(?: är)?\s*:?"
    r"|bostad\s*:"
    r"|mieszkam (?:przy|na|w)|zamieszkał\p{L}* (?:przy|na|w)|живу (?:по адресу|на|в)|адрес\p{L}*\s*:?"
    r"|проживаю\s(?:по адресу)?|мешкаю|живу за адресою"
    r"|\basun (?:osoitteessa)?|osoite(?:eni)?(?: on)?\s*:?|\bbydl[íi]m\s(?:na adrese|v|na)|adresa\p{L}*\s*:?|\blakom\b"
    r"|\blakcím\p{L}*\s*:?|locuiesc (?:pe|în)|adresim\s*:?|ikamet\p{L}*\s*:?"
    r"|διεύθυνση\s*:?|μένω (?:στη|στην|στο)|住所(?:は)?\s*[:：]?|地址(?:是)?\s*[:：]?|住在|주소(?:는)?\s*[:：]?)"
)
_LED = Pattern(
    _LEAD
    + r"\s{1,3}(?:\p{Ll}{1,3}\s+)?((?:[\p{L}\p{M}0-9.,'’/#\-º°]+[ ]?\n?){0,7}?[\p{L}\p{M}'’.\-/]*\d{1,6}[a-zA-Z]?\b"
    r"(?:[\-/ ]{1,2}\d{1,5}[a-zA-Z]?\b)?(?:,?[ \n](?:\p{Lu}|\d)[\p{L}\p{M}0-9.'’/\-º°]*){0,6})"
)
_NOT_A_STREET_TEXT = """
the a an this that per on in of off down up my your his her our their other main-stream more last next same long way
no any each every high side hour minute mile miles km days day times people users rock silk
"""
_NOT_A_STREET = frozenset(_NOT_A_STREET_TEXT.split())

TRIGGER = (
    r"\b(?:"
    + _PLAIN_SUFFIX
    + r"|"
    + _SHORT_SUFFIX
    + r"|"
    + _ROMANCE_WAY
    + r"|h\.?\s?no|flat|studio|plot|house no|door no|unit|suite|shop|room)\b"
    r"|(?-i:\p{Lu}[\p{L}\p{M}'’.\-]*\s)(?:" + _RARE_SUFFIX + r")\b|\b(?:c/|c\.|r\.|tv\.|av\.)"
    r"|"
    + _GERMANIC_END
    + r"\.?\s?\d|(?:str\.|\b(?:am|im|zum|zur|an der|auf der|unter den|in der) (?-i:\p{Lu})[\p{L}\-]+ \d)"
    r"|(?:\b|\s)(?:"
    + _SLAVIC_WAY
    + r")|[路街道巷弄町村丁条條]|(?:로|길|동|구|군|시)\s|\bbox\b|postfach|postale?\b|postbus|postboks"
    r"|apartado|\bb\.?p\.?\s\d|а/я|poczt"
    r"|" + _LEAD
)


def _lower(text: str) -> Iterator[Span]:
    for match in _LOWER.finditer(text):
        if match.group(2).lower() not in _NOT_A_STREET:
            yield Span(*match.span(1), "ADDRESS")


def _led(text: str) -> Iterator[Span]:
    """After "I live at" a capital or a number begins the address; "send it to 3 people" is none."""
    for match in _LED.finditer(text):
        start, end = match.span(1)
        while end > start and text[end - 1] in " \n,.-":
            end -= 1
        words = text[start:end].split()
        capital = any(word[:1].isupper() or not word[:1].isascii() for word in words)
        if capital and len(words) >= 2 and (words[0][:1].isupper() or words[0][:1].isdigit() or "." in words[0]):
            yield Span(start, end, "ADDRESS")


RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_ENGLISH, "ADDRESS"),
    by_group(_NUMBER_BEFORE, "ADDRESS"),
    by_group(_NUMBER_AFTER, "ADDRESS"),
    by_group(_GERMANIC, "ADDRESS"),
    by_group(_GERMAN, "ADDRESS"),
    by_group(_SLAVIC, "ADDRESS"),
    by_group(_WAY_LAST, "ADDRESS"),
    by_group(_ASIAN, "ADDRESS"),
    by_group(_BOX, "ADDRESS"),
    _lower,
    by_group(_FLAT_FIRST, "ADDRESS"),
    _led,
)
