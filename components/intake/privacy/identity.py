"""Social security, passport and other identity numbers, and dates of birth."""

from collections.abc import Iterator

from flywheel.components.intake.privacy import checksums
from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span, by_group, digits_of

_SSN = Pattern(r"\d{3}[\- .]\d{2}[\- .]\d{4}")
_SSN_LABEL = Pattern(
    r"(?:\bssn\b|\bitin\b|\btin\b|social[ \-]security(?:[ \-](?:number|no\.?|num|#))?|social (?:number|is))"
    r"[^\d\n]{0,20}(\d{3}[\- .]?\d{2}[\- .]?\d{4})\b"
)
_LABEL = (
    r"(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort|driver'?s? licen[cs]e|driving licen[cs]e"
    r"|f[üu]hrerschein|permis de conduire|national (?:id|insurance)|identity card|id[ \-]card|personalausweis|ausweis"
    r"|carte d'identit[ée]|documento de identidad|carta d'identit[àa]|tax (?:id|number)|tax file"
    r"|steuer-?(?:id|nummer)"
    r"|sozialversicherung|versicherungsnummer|codice fiscale|social insurance|medicare|nhs|aadhaar"
    r"|aadhar|\bpan card|\bcpf\b"
    r"|\bcurp\b|\bbsn\b|\bnino\b|\bdni\b|\bnie\b|\bnif\b|\bsin\b|\bpesel\b|personnummer|green card|visa number)"
)
_LABELLED = Pattern(
    _LABEL + r"(?:[ \-]?(?:nummer|number|num|no\.?|nr\.?|n[°º]|#|card|id))*"
    r"(?:\s+(?:is|ist|est|es|lautet|è"
    r"|é))?\s*[:#=]?\s*((?:[A-Z]{0,3}[ \-]?)?[A-Z0-9]*\d[A-Z0-9]*(?:[ \-./]?[A-Z0-9]*\d[A-Z0-9]*){0,6}"
    r")"
)
_NINO = Pattern(r"\b[abceghj-prstw-z][abceghj-nprstw-z] ?\d{2} ?\d{2} ?\d{2} ?[a-d]\b")
_CODICE = Pattern(r"\b[a-z]{6}\d{2}[abcdehlmprst]\d{2}[a-z]\d{3}[a-z]\b")
_PAN = Pattern(r"\b[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]\b", ignore_case=False)
_CURP = Pattern(r"\b[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d\b", ignore_case=False)
_AADHAAR = Pattern(r"\b[2-9]\d{3}[ \-]\d{4}[ \-]\d{4}\b")
_CPF = Pattern(r"\b\d{3}\.\d{3}\.\d{3}-\d{2}\b")
_DNI = Pattern(r"\b(?:\d{8}|[xyz]\d{7})[ \-]?[a-z]\b")
_NIR = Pattern(r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[ab]) ?\d{3} ?\d{3} ?\d{2}\b")
_PERSONNUMMER = Pattern(r"\b(?:\d{2})?\d{6}[\-+]\d{4}\b")
_MONTH = (
    r"(?:jan|feb|m[aä]r|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]|ene|abr|ago|dic|janv|f[ée]vr|avr"
    r"|juin|juil|ao[ûu]t"
    r"|gen|mag|giu|lug|set|ott|fev|mai|out|dez)\p{L}*\.?"
)
_DATE = (
    r"(?:\d{1,4}[./\-]\s?\d{1,2}[./\-]\s?\d{2,4}|\d{1,2}(?:st|nd|rd|th|er|\.|º)?\s+(?:de\s+|of\s+)?"
    + _MONTH
    + r",?\s+(?:de\s+)?\d{2,4}"
    r"|" + _MONTH + r"\s+\d{1,2}(?:st|nd|rd|th)?,?\s+\d{2,4})"
)
_BIRTH = Pattern(
    r"(?:born(?: on| in)?|date of birth|birth ?date|birthday|d\.?o\.?b\.?\b|geboren(?: am)?"
    r"|geburtsdatum|geburtstag|geb\."
    r"|n[ée]e? le|date de naissance|anniversaire|nacid[oa] el|nac[ií] el|fecha de nacimiento|cumplea[ñn]os"
    r"|nat[oa] il|data di nascita|nascid[oa] em|data de nascimento|geboren op|geboortedatum)"
    r"[^\d\n]{0,12}?(" + _DATE + r")"
)  # fmt: skip


def _ssn(text: str) -> Iterator[Span]:
    for match in _SSN.finditer(text):
        start, end = match.span()
        same = text[start + 3] == text[start + 6]
        if same and checksums.social_security(digits_of(match.group())) and _alone(text, start, end):
            yield Span(start, end, "SSN")


def _alone(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 2]
    if (before.isascii() and before.isalnum()) or before in ("_", "-"):
        return False
    return not (after[:1].isascii() and after[:1].isalnum()) and not (after[:1] == "-" and after[1:].isdigit())


def _labelled(text: str) -> Iterator[Span]:
    for match in _LABELLED.finditer(text):
        start, end = match.span(1)
        if len(digits_of(text[start:end])) >= 4 and 5 <= end - start <= 32:
            yield Span(start, end, "ID")


def _checked(text: str) -> Iterator[Span]:
    for compiled, proof in (
        (_AADHAAR, lambda found: checksums.verhoeff(digits_of(found))),
        (_CPF, lambda found: checksums.cpf(digits_of(found))),
        (_DNI, lambda found: checksums.spanish_identity("".join(filter(str.isalnum, found.upper())))),
        (_PERSONNUMMER, lambda found: checksums.luhn(digits_of(found)[-10:])),
        (_NIR, _french),
    ):
        for match in compiled.finditer(text):
            if proof(match.group()):
                yield Span(*match.span(), "ID")


def _french(found: str) -> bool:
    bare = found.replace(" ", "").upper().replace("2A", "19", 1).replace("2B", "18", 1)
    return len(bare) == 15 and bare.isdigit() and checksums.french_social_security(bare)


RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_SSN_LABEL, "SSN"),
    _ssn,
    by_group(_BIRTH, "BIRTHDATE"),
    _checked,
    by_group(_NINO, "ID", 0),
    by_group(_CODICE, "ID", 0),
    by_group(_PAN, "ID", 0),
    by_group(_CURP, "ID", 0),
    _labelled,
)
