"""API keys, tokens, passwords and the secrets inside URLs."""

from collections.abc import Iterator

from flywheel.components.intake.privacy.patterns import Pattern
from flywheel.components.intake.privacy.spans import Recognizer, Span, by_group

_KEYS = Pattern(
    r"("
    r"sk-(?:ant-|proj-|or-)?[A-Za-z0-9_\-]{16,}|sk_(?:live|test)_[A-Za-z0-9]{10,}|[rp]k_(?:live"
    r"|test)_[A-Za-z0-9]{10,}"
    r"|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_\-]{16,}|hf_[A-Za-z0-9]{20,}"
    r"|(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}|AIza[0-9A-Za-z_\-]{30,}|ya29\.[0-9A-Za-z_\-]{20,}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_\-]{30,}|dop_v1_[a-f0-9]{40,}"
    r"|SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}|nvapi-[A-Za-z0-9_\-]{20,}|shpat_[a-f0-9]{20,}"
    r"|eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*)?"
    r")",
    ignore_case=False,
)
_BLOCK = Pattern(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s\\]+(?:-----END [A-Z ]*PRIVATE KEY-----)?)", ignore_case=False
)
_AUTHORIZATION = Pattern(r"\b(?:bearer|basic|token)\s+([A-Za-z0-9._~+/=\-]{16,})")
_LABELLED = Pattern(
    r"(?:api[ _\-]?key|access[ _\-]?key|secret[ _\-]?key|client[ _\-]?secret|auth[ _\-]?token|access[ _\-]?token"
    r"|private[ _\-]?key|secret|token)[\"']?\s*(?:is|are|[:=])+\s*[\"']?([A-Za-z0-9._~+/=\-]{8,})"
)
_PASSWORD = Pattern(
    r"(?:pass(?:word|wd|phrase|code)|pwd|passwort|kennwort|mot de passe|contrase[ñn]a|senha"
    r"|wachtwoord|parola d'ordine"
    r"|пароль|パスワード|密码)(?:[\"']?\s*(?:[:=：]|(?:is|was|ist|est|es|lautet|war|é|è|是"
    r"|は)\s*:?\s)\s*)[\"']?([^\s\"',;]{4,64})"
)
_URL_USER = Pattern(r"\b[a-z][a-z0-9+.\-]{1,15}://([^\s/@:\"'<>]+:[^\s/@\"'<>]*|[^\s/@:\"'<>]{6,})@[^\s/]")
_URL_QUERY = Pattern(
    r"[?&;#](?:[a-z_\-]*(?:token|key|secret|password|passwd|pwd|signature|credential|session|auth|jwt"
    r"|sid|otp)[a-z_\-]*"
    r"|sig|code)=([^\s&#\"'<>;]{4,})"
)
# After "password is", these words say something about the password instead of being it.
_NOT_A_PASSWORD_TEXT = """
not wrong incorrect invalid expired reset required correct too never always still also the a an my your being case
longer working stored safe secure weak strong nicht falsch abgelaufen incorrecta no
"""
_NOT_A_PASSWORD = frozenset(_NOT_A_PASSWORD_TEXT.split())


def _labelled(text: str) -> Iterator[Span]:
    for match in _LABELLED.finditer(text):
        start, end = match.span(1)
        if any(character.isdigit() for character in text[start:end]):
            yield Span(start, end, "SECRET")


def _password(text: str) -> Iterator[Span]:
    for match in _PASSWORD.finditer(text):
        start, end = match.span(1)
        while end > start + 4 and text[end - 1] in ".!?)":
            end -= 1
        if text[start:end].lower().rstrip(".!?)") not in _NOT_A_PASSWORD:
            yield Span(start, end, "SECRET")


BLOCKS: tuple[Recognizer, ...] = (by_group(_BLOCK, "SECRET"),)
RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_KEYS, "SECRET"),
    by_group(_URL_USER, "SECRET"),
    by_group(_URL_QUERY, "SECRET"),
    by_group(_AUTHORIZATION, "SECRET"),
    _labelled,
    _password,
)
