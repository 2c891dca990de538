"""Social security, passport and other identity numbers, and dates of birth."""

from collections.abc import Callable, Iterator

from flywheel.components.intake.privacy import checksums, national_ids
from flywheel.components.intake.privacy.other_numbers import named_otherwise, quantity
from flywheel.components.intake.privacy.patterns import Pattern, short
from flywheel.components.intake.privacy.spans import Recognizer, Span, alone, by_group, digits_of, free_standing

_SSN = Pattern(r"\d{3}[\- .]\d{2}[\- .]\d{4}")
_SSN_LABEL = Pattern(
    r"(?:\bssn\b|\bitin\b|\btin\b|social[ \-]security(?:[ \-](?:number|no\.?|num|#))?|social (?:number|is))"
    r"[^\d\n]{0,20}(\d{3}[\- .]?\d{2}[\- .]?\d{4})\b"
)
_LABEL = (
    r"(?:passport|reisepass|pass-?(?:nummer|nr|no)\p{L}*|passeport|pasaporte|passaport[oe]|paspoort|paszport\p{L}*"
    r"|\bpas(?:nummer|nr)\p{L}*|passi(?:n|ni)?\b|\bpasu?\b|útlev[ée]l\p{L}*|pa[șs]aport\p{L}*|pasaport\p{L}*"
    r"|διαβατ[ήη]ρι\p{L}*"
    r"|паспорт\p{L}*|护照|護照|パスポート|여권|driver'?s? licen[cs]e|driving licen[cs]e"
    r"|f[üu]hrerschein|permis de conduire|rijbewijs|carnet de conducir|patente|prawo jazdy|national (?:id|insurance)"
    r"|identity card|\bid[ \-]?(?:card|number|no|nr)|personalausweis|ausweis\p{L}*|personnel|id-?kort"
    r"|carte d'identit[ée]|documento de identidad|c[ée]dula|carta d'identit[àa]|identiteits\p{L}*|dow[óo]d\p{L}*"
    r"|tax (?:id|number)|tax file|\btfn\b|steuer-?(?:id|nummer)|steueridentifikations\p{L}*|num[ée]ro fiscal|\bnipt?\b"
    r"|sozialversicherung\p{L}*|versicherungsnummer|\bsv-?n(?:r|ummer)|\bahv|s[ée]curit[ée] sociale|\bnir\b"
    r"|seguridad social"
    r"|codice fiscale|social insurance|medicare|\bnhs|aadhaa?r|\bpan (?:card|number|no)|\bcpf\b|\bcnpj\b|\brg\b"
    r"|\bcurp\b|\brfc\b|\bbsn\b|burgerservice\p{L}*|\bnino\b|\bdni\b|\bnie\b|\bnif\b|\bsin\b|\bpesel\b"
    r"|personnummer\p{L}*"
    r"|personbeteckning|f[øo]dselsnummer\p{L}*|\bcpr\p{L}*|henkil[öo]tunnu\p{L}*|\bhetu\b|rodn[ée] č[íi]sl\p{L}*"
    r"|\bcnp\b|\begn\b|\boib\b"
    r"|\bjmbg\b|\bemšo\b|isikukood|asmens koda\p{L}*|kimlik\p{L}*|t\.?c\.? no"
    r"|[\s,.:(\x1e](?:инн|снилс|іпн|рнокпп)|身份证"
    r"|身份證"
    r"|マイナンバー|주민등록번호|주민번호|\brut\b|\bcuit\b|\bcuil\b|\bppsn?\b|\bnric\b|\bfin\b|green card|visa number"
    r"|residence permit)"
)
_LABELLED = Pattern(
    _LABEL + r"[^\d\n]{0,24}?[\s:#=.°º]\s*"
    r"((?-i:[A-Z]{0,4})[ \-]?\d[A-Za-z0-9]*(?:[ \-./]?(?-i:[A-Z]{0,3})\d[A-Z0-9]*){0,6}"
    r"(?:[ \-]?(?-i:[A-Z])\b)?)"
)
_BY_LABEL = Pattern(
    _LABEL + r"[^\d\n]{0,24}?[\s:#=.°º]\s*"
    r"([A-Z0-9]*\d[A-Z0-9]*\d[A-Z0-9]*)\b"
)
_SHAPES = Pattern(
    r"\b(?:\d{9,15}|\d{17}[\dx]|[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-z]"
    r"|[a-z]{6}\d{2}[abcdehlmprst]\d{2}[a-z]\d{3}[a-z]|(?-i:[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]"
    r"|[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d)"
    r"|(?-i:[A-ZÑ&]{3,4}\d{6}[A-Z0-9]{3})|\d{4}[ \-]\d{4}[ \-]\d{4}|\d{3}\.\d{3}\.\d{3}-\d{2}"
    r"|\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}"
    r"|(?:\d{8}|[xyz][ \-]?\d{7})[ \-]?[a-z]|[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}"
    r"|2[ab]) ?\d{3} ?\d{3} ?\d{2}"
    r"|(?:\d{2})?\d{6}[\-+]\d{4}|\d{6}-\d{5}|\d{6}-\d{7}|\d{6}[\-+a-fu-y]\d{3}[0-9a-y]|\d{6}/\d{3,4}|\d{6} \d{5}"
    r"|\d{2}\.\d{2}\.\d{2}[\- ]\d{3}[. ]\d{2}|756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}|\d{1,2}\.?\d{3}\.?\d{3}-[\dk]"
    r"|\d{2}-\d{8}-\d"
    r"|\d{3}-\d{3}-\d{3}[ \-]\d{2}|\d-\d{4}-\d{5}-\d{2}-\d|\d{3}[ \-]\d{3}[ \-]\d{3}|\d{6}-\d{2}-\d{4}"
    r"|[stfgm]\d{7}[a-z]"
    r"|\d{7}[a-w][a-iw]?|[a-z][12]\d{8}|\d{4} \d{6})\b|\b(?-i:[A-Z]{1,2}\d{6}\([0-9A]\))"
)


def _always(text: str) -> bool:
    return True


_NINO = short(r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z]\d{6}[A-D]")

# Shape as written -> what proves it; the first shape that fits decides. Letters are in upper case here.
_PROOFS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    (r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-Z]", lambda bare: bool(_NINO.fullmatch(bare))),
    (r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", _always),  # Italy, codice fiscale
    (r"[A-Z]{5}\d{4}[A-Z]", _always),  # India, PAN
    (r"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", lambda bare: national_ids.with_a_day(bare[4:])),  # Mexico, CURP
    (r"[A-ZÑ&]{3,4}\d{6}[A-Z0-9]{3}", lambda bare: national_ids.with_a_day(bare[-9:])),  # Mexico, RFC
    (r"\d{4}[ \-]\d{4}[ \-]\d{4}", lambda bare: bare[0] > "1" and national_ids.verhoeff(bare)),  # India, Aadhaar
    (r"\d{3}\.\d{3}\.\d{3}-\d{2}", national_ids.cpf),
    (r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}", national_ids.cnpj),
    (r"(?:\d{8}|[XYZ][ \-]?\d{7})[ \-]?[A-Z]", national_ids.spanish),
    (r"\d{8}[\-+]\d{4}", national_ids.swedish),
    (r"\d{6}[\-+]\d{4}", lambda bare: national_ids.swedish(bare) or national_ids.danish(bare)),
    (r"\d{6}-\d{5}", national_ids.day_first),  # Latvia
    (r"\d{6}-\d{7}", national_ids.korean),
    (r"\d{6}/\d{3,4}", national_ids.czech),
    (r"\d{6} \d{5}", national_ids.norwegian),
    (r"\d{2}\.\d{2}\.\d{2}[\- ]\d{3}[. ]\d{2}", national_ids.belgian),
    (r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d{2}", national_ids.swiss),
    (r"\d{1,2}\.?\d{3}\.?\d{3}-[\dK]", national_ids.chilean),
    (r"\d{2}-\d{8}-\d", national_ids.argentine),
    (r"\d{3}-\d{3}-\d{3}[ \-]\d{2}", national_ids.russian_insurance),
    (r"\d-\d{4}-\d{5}-\d{2}-\d", national_ids.thai),
    (r"\d{3}[ \-]\d{3}[ \-]\d{3}", checksums.luhn),  # Canada, SIN
    (r"\d{6}-\d{2}-\d{4}", national_ids.with_a_day),  # Malaysia
    (r"[STFGM]\d{7}[A-Z]", national_ids.singaporean),
    (r"\d{7}[A-W][A-IW]?", national_ids.irish),
    (r"[A-Z][12]\d{8}", national_ids.taiwanese),
    (r"\d{4} \d{6}", national_ids.austrian),
    (r"[A-Z]{1,2}\d{6}\([0-9A]\)", _always),  # Hong Kong
    (r"\d{17}[\dX]", national_ids.chinese),
    (r"[12](?: ?\d){4} ?(?:\d{2}|2[AB])(?: ?\d){8}", national_ids.french),
)  # fmt: skip
_SHAPE_PROOFS = tuple((short(shape), proof) for shape, proof in _PROOFS)
_COUNTRY_CODE = short(r"(?:\+|\b00)\d{1,3}[ \-.)(]{0,2}$")
_FINNISH = short(r"\d{6}[\-+A-FU-Y]\d{3}[0-9A-Y]")
_BARE: dict[int, tuple[Callable[[str], bool], ...]] = {  # digits without separators, by their number
    11: (
        national_ids.polish,
        national_ids.norwegian,
        national_ids.baltic,
        national_ids.turkish,
        national_ids.cpf,
        national_ids.german_tax,
        national_ids.belgian,
    ),
    12: (national_ids.russian, lambda digits: digits[:2] in ("19", "20") and national_ids.swedish(digits)),
    13: (national_ids.romanian, national_ids.yugoslav, national_ids.south_african, national_ids.swiss),
    14: (national_ids.cnpj,),
    15: (national_ids.french,),
}
_MONTH_WORD = r"\p{L}{3,12}\.?"
_DATE = (
    r"(?:\d{1,4}\s?[./\-]\s?\d{1,2}\s?[./\-]\s?\d{2,4}\.?"
    r"|\d{1,2}(?:st|nd|rd|th|er|e|\.|º|ª|-го)?\s+(?:de\s+|of\s+)?" + _MONTH_WORD + r",?\s+(?:de[l]?\s+)?\d{2,4}"
    r"|" + _MONTH_WORD + r"\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{2,4}"
    r"|\d{4}\.?\s+" + _MONTH_WORD + r"\s+\d{1,2}\.?|\d{1,2}[\-/]" + _MONTH_WORD + r"[\-/]\d{2,4}"
    r"|\d{2,4}\s?年\s?\d{1,2}\s?月\s?\d{1,2}\s?日|\d{2,4}\s?년\s?\d{1,2}\s?월\s?\d{1,2}\s?일|(?:19|20)\d{6})"
)
_BORN = (
    r"(?:\bborn\b|birth\p{L}*|\bb-?day\b|\bd\.?o\.?b\.?\b|geboren|geburt\p{L}*|\bgeb\.|geboorte\p{L}*|\bn[ée]e?\s+le\b"
    r"|naissance|anniversaire"
    r"|nac(?:í|ió|id[oa]|imiento)[\s:]|cumplea[ñn]os|nasc(?:i|id[oa]|imento|eu)[\s:]|anivers[áa]rio|\bnat[oa] il"
    r"|nascita|compleanno"
    r"|född|födel\p{L}*|født|føds?el\p{L}*|syntyn\p{L}*|syntymä\p{L}*|urodz\p{L}*|narod\p{L}*|naroz\p{L}*|rođen\p{L}*"
    r"|rojen\p{L}*"
    r"|рожд\p{L}*|родил\p{L}*|народ\p{L}*|роден\p{L}*|γενν\p{L}*|doğum\p{L}*|doğdum|născut\p{L}*|naștere\p{L}*"
    r"|születe?t\p{L}*|születési"
    r"|出生|生日|生年月日|生まれ|誕生日|생년월일|생일|태어|ميلاد|जन्म|sinh ngày|lahir)"
)
_BIRTH = Pattern(_BORN + r"[^\d\n]{0,24}?(" + _DATE + r")")
_BIRTH_AFTER = Pattern(
    r"(" + _DATE + r")\s?(?:\(?(?:geboren|born|nacid[oa]|生まれ|出生|születtem|doğdum|doğumlu)|태어)"
)


def _ssn(text: str) -> Iterator[Span]:
    for start, end in _SSN.places(text):
        same = text[start + 3] == text[start + 6]
        if same and checksums.social_security(digits_of(text[start:end])) and _untied(text, start, end):
            yield Span(start, end, "SSN")


def _untied(text: str, start: int, end: int) -> bool:
    after = text[end : end + 2]
    return alone(text, start, end) and text[start - 1 : start] != "-" and not (after[:1] == "-" and after[1:].isdigit())


def _labelled(text: str) -> Iterator[Span]:
    for compiled in (_LABELLED, _BY_LABEL):
        for match in compiled.finditer(text):
            start, end = match.span(1)
            while text[start] in " -":
                start += 1
            if len(digits_of(text[start:end])) >= 4 and 5 <= end - start <= 32 and alone(text, start, end):
                yield Span(start, end, "ID")


def _checked(text: str) -> Iterator[Span]:
    for start, end in _SHAPES.places(text):
        found = text[start:end]
        if free_standing(text, start, end) and _proved(found.upper()) and not _after_country_code(text, start):
            bare = found.isdigit()
            if not named_otherwise(text, start, digits_only=bare) and not (bare and quantity(text, start, end)):
                yield Span(start, end, "ID")


def _after_country_code(text: str, start: int) -> bool:
    return bool(_COUNTRY_CODE.search(text[max(0, start - 8) : start]))


def _proved(found: str) -> bool:
    bare = "".join(filter(str.isalnum, found))
    if found.isdigit() and len(found) in _BARE:
        return any(proof(found) for proof in _BARE[len(found)])
    if _FINNISH.fullmatch(found):
        return national_ids.finnish(found) or (bare.isdigit() and national_ids.danish(bare))
    return any(shape.fullmatch(found) and proof(bare) for shape, proof in _SHAPE_PROOFS)


RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_SSN_LABEL, "SSN"),
    _ssn,
    by_group(_BIRTH, "BIRTHDATE"),
    by_group(_BIRTH_AFTER, "BIRTHDATE"),
    _checked,
    _labelled,
)
