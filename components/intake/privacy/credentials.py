"""API keys, tokens, passwords and the secrets inside URLs."""

from collections.abc import Iterator
from itertools import pairwise

from flywheel.components.intake.privacy.patterns import Pattern, short
from flywheel.components.intake.privacy.spans import Recognizer, Span, alone, by_group

# What vendors put before their secrets, so that secret scanners (such as this) find them.
_VENDORS = (
    r"sk-[A-Za-z0-9_\-]{16}|(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10}"
    r"|whsec_[A-Za-z0-9+/]{20}"  # OpenAI and likes, Stripe
    r"|gh[pousr]_[A-Za-z0-9]{20}|github_pat_[A-Za-z0-9_]{20}|gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[A-Za-z0-9_\-]{16}"
    r"|hf_[A-Za-z0-9]{20}|api_org_[A-Za-z0-9]{20}|gsk_[A-Za-z0-9]{20}|r8_[A-Za-z0-9]{20}|pplx-[A-Za-z0-9]{20}"
    r"|xai-[A-Za-z0-9]{20}|tvly-[A-Za-z0-9\-]{16}|nvapi-[A-Za-z0-9_\-]{20}|lsv2_[a-z]{2}_[a-f0-9]{20}"
    r"|(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[0-9A-Z]{16}|LTAI[A-Za-z0-9]{12}|AKID[A-Za-z0-9]{13}"
    r"|AIza[0-9A-Za-z_\-]{20}|ya29\.[0-9A-Za-z_\-]{20}|GOCSPX-[A-Za-z0-9_\-]{20}|1//0[A-Za-z0-9_\-]{20}"
    r"|xox[abeoprs]-[A-Za-z0-9\-]{10}|xapp-\d-[A-Za-z0-9\-]{10}|EAA[A-Za-z0-9]{20}|sq0[a-z]{3}-[A-Za-z0-9_\-]{20}"
    r"|npm_[A-Za-z0-9]{20}|pypi-[A-Za-z0-9_\-]{20}|rubygems_[a-f0-9]{20}|dckr_(?:pat|oat)_[A-Za-z0-9_\-]{20}"
    r"|do[opr]_v1_[a-f0-9]{20}|SG\.[A-Za-z0-9_\-]{16}|key-[a-f0-9]{32}|(?:SK|AC)[a-f0-9]{32}"
    r"|re_[A-Za-z0-9]{8}_[A-Za-z0-9]{16}"
    r"|shp(?:at|ca|pa|ss|tka)_[a-fA-F0-9]{20}|dapi[a-f0-9]{32}|hv[sbr]\.[A-Za-z0-9_\-]{20}|gl(?:sa"
    r"|c)_[A-Za-z0-9+/=_]{20}"
    r"|(?:lin_api|ntn|secret|figd|sbp|pul|tfp|PMAK|NRAK|NRJS|NRII|dp\.pt|dp\.st|fo1|fm2|phc|phx|sntrys"
    r"|sntryu)[_\-.][A-Za-z0-9_\-]{20}"
    r"|ATATT3[A-Za-z0-9_\-=]{20}|ATBB[A-Za-z0-9]{20}|AGE-SECRET-KEY-1[A-Z0-9]{20}|AKCp[A-Za-z0-9]{10}"
    r"|ops_eyJ[A-Za-z0-9]{20}"
    r"|\d{8,10}:AA[A-Za-z0-9_\-]{30}"
    r"|[MNO][A-Za-z\d_\-]{23,25}\.[A-Za-z\d_\-]{6}\.[A-Za-z\d_\-]{24}"  # Telegram, Discord
    r"|eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]{8}"
)
_KEYS = Pattern(r"(\b(?:" + _VENDORS + r")[A-Za-z0-9+/=._~\-]*)", ignore_case=False)
_HOOKS = (
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks"
    r"|webhook\.office\.com/webhookb2|maker\.ifttt\.com/use|api\.telegram\.org/bot)"
)
_HOOK = Pattern(_HOOKS + r"/?([A-Za-z0-9:@/_\-]{16,})")
_BLOCK = Pattern(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\:,.\-]*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK"
    r")?-----"
    r"|-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\]+)",
    ignore_case=False,
)
_AUTHORIZATION = Pattern(r"\b(?:bearer|basic|token|ssws|digest)\s+([A-Za-z0-9._~+/=\-]{16,})")
_IS = r"[\"']?\s*(?:(?:is|are|was|ist|est|es)\b|[:=：]>?)+\s*[\"']?"
_SECRET_WORD = r"(?:key|secret|token|credentials?|passphrase|signature|sas|dsn)"
_LABELLED = Pattern(_SECRET_WORD + _IS + r"([A-Za-z0-9._~+/=\-]{8,})")
_CODE_WORD = (
    r"\b(?:pin(?:[ \-]?(?:code|number))?|otp|tan|cvv2?|cvc2?|(?:verification|security|confirmation|one[ \-]time|2fa"
    r"|mfa|sms"
    r"|access|entry|door) (?:code|pin|password)|sicherheitscode|pr[üu]f(?:ziffer|nummer)|code de s[ée]curit[ée])"
)
_CODE = Pattern(_CODE_WORD + r"(?: (?:is|was|ist|est|es|lautet))?\s*[:#=]?\s*(\d{3,8})\b")
_PASSWORDS = (
    r"(?:pass(?:word|wd|phrase|code|wort|ord)|pwd|kennwort|mot de passe|contrase[ñn]a|clave|senha|palavra-passe"
    r"|wachtwoord|parola(?: d'ordine)?|adgangskode|l[öo]senord|salasana|has[łl]o|heslo|jelsz[óo]|[şs]ifre|κωδικ[όο]ς"
    r"|пароль|パスワード|密码|密碼|비밀번호)"
)
_PASSWORD_IS = (
    r"[\"']?\s*(?:[:=：]|(?:is|was|ist|est|es|lautet|war|to|je|é|è|er|är|on|это|是|は|는)\b?\s*:?\s|(?:是|は))\s*[\"']?"
)
_PASSWORD = Pattern(_PASSWORDS + _PASSWORD_IS + r"([^\s\"',;]{4,64})")
_URL_USER = Pattern(r"\b[a-z][a-z0-9+.\-]{1,15}://([^\s/@:\"'<>]*:[^\s/@\"'<>]+|[^\s/@:\"'<>]{6,})@[^\s/]")
_URL_QUERY = Pattern(
    r"[?&;#](?:[a-z_\-]*(?:token|key|secret|password|passwd|pwd|signature|credential|session|auth|jwt"
    r"|sid|otp|ticket|nonce|assertion|verifier)[a-z_\-]*"
    r"|sig|code|invite|magic)=([^\s&#\"'<>;]{4,})"
)
_URL_ANY = Pattern(r"[?&;#][a-z0-9_.\-\[\]]{1,40}=([A-Za-z0-9_\-.~%+/=]{16,})")
_LONG = r"[A-Za-z0-9_\-]{28,}"
_RANDOM = Pattern(r"(" + _LONG + r"={0,2}|[A-Za-z0-9+/]{40,}={0,2})", ignore_case=False)
_WALLET = Pattern(r"\b(0x[0-9a-f]{40}|bc1[ac-hj-np-z02-9]{25,60})\b")
# After "password is", these words say something about the password instead of being it.
_NOT_A_PASSWORD_TEXT = """
not wrong incorrect invalid expired reset required correct too never always still also the a an my your being case
longer working stored safe secure weak strong nicht falsch abgelaufen incorrecta no
"""
_NOT_A_PASSWORD = frozenset(_NOT_A_PASSWORD_TEXT.split())
_UUID = short(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

BLOCK_TRIGGER = "-----BEGIN"
TRIGGER = (
    r"(?-i:" + _VENDORS + r")|" + _HOOKS + r"|://[^\s/@]*@|[?&;#][a-z0-9_.\-\[\]]{1,40}="
    r"|\b(?:bearer|basic|token|ssws|digest)\s+[a-z0-9._~+/=\-]{16}|" + _SECRET_WORD + _IS + r"[a-z0-9._~+/=\-]{8}"
    r"|" + _CODE_WORD + r"|" + _PASSWORDS + _PASSWORD_IS + r"|\b(?:0x[0-9a-f]{40}|bc1)"
)  # fmt: skip
LONG = 28  # bytes of what is looked at for being random, at least


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


def _random(text: str) -> Iterator[Span]:
    for match in _RANDOM.finditer(text):
        if looks_random(match.group()) and alone(text, match.start(), match.end()):
            yield Span(*match.span(), "SECRET")


def _url_any(text: str) -> Iterator[Span]:
    for match in _URL_ANY.finditer(text):
        if looks_random(match.group(1)):
            yield Span(*match.span(1), "SECRET")


def looks_random(text: str) -> bool:
    """Whether letters and digits alternate as in a generated secret, and not as in a word, an identifier or a UUID.

    Of random letters and digits 62 % of the neighbours are of another class (upper, lower, digit); identifiers in
    program text stay below 40 %. Hexadecimal digests are as random but are no secrets by themselves.
    """
    if sum(map(str.isdigit, text)) < 3 or _UUID.fullmatch(text.lower()) or text.lower() == text or text.upper() == text:
        return False
    classes = ["d" if one.isdigit() else "u" if one.isupper() else "l" for one in text if one.isalnum()]
    return sum(one != other for one, other in pairwise(classes)) >= 0.42 * len(classes)


BLOCKS: tuple[Recognizer, ...] = (by_group(_BLOCK, "SECRET"),)
RECOGNIZERS: tuple[Recognizer, ...] = (
    by_group(_KEYS, "SECRET"),
    by_group(_HOOK, "SECRET"),
    by_group(_URL_USER, "SECRET"),
    by_group(_URL_QUERY, "SECRET"),
    _url_any,
    by_group(_AUTHORIZATION, "SECRET"),
    _labelled,
    by_group(_CODE, "SECRET"),
    _password,
    by_group(_WALLET, "ACCOUNT"),
    _random,
)
