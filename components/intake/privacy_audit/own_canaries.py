"""Canaries of the types that Faker lacks: secrets of many vendors, connection strings, tokens in URLs, US SSNs."""

import base64
import json
import string
from collections.abc import Callable, Iterator
from random import Random

from flywheel.components.intake.privacy_audit.canary import Canary
from flywheel.components.intake.privacy_audit.sentences import sentence

_ALNUM = string.ascii_letters + string.digits
_HEX = "0123456789abcdef"
_UPPER = string.ascii_uppercase + string.digits
_URL_SAFE = _ALNUM + "_-"


class OwnCanaries:
    """Makes canaries; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"own canaries {seed}")
        self._makers: dict[str, Callable[[], tuple[str, str]]] = {
            "ssn": self._ssn,
            "secret": self._secret,
            "connection_string": self._connection,
            "url_token": self._url,
        }

    @property
    def kinds(self) -> tuple[str, ...]:
        """Types that it makes."""
        return tuple(self._makers)

    def make(self, kind: str, count: int) -> Iterator[Canary]:
        """Yield canaries of a type."""
        for _ in range(count):
            value, text = self._makers[kind]()
            yield Canary(kind, value, text)

    def _some(self, alphabet: str, length: int) -> str:
        return "".join(self._random.choices(alphabet, k=length))

    def _ssn(self) -> tuple[str, str]:
        area = self._random.choice([number for number in range(1, 900) if number != 666])
        parts = f"{area:03}", f"{self._random.randrange(1, 100):02}", f"{self._random.randrange(1, 10_000):04}"
        frame = self._random.choice(("My SSN is {}.", "SSN: {}", "social security number {}", "It is {} for my wife."))
        joint = self._random.choice(("-", "-", " ", "") if "{}" in frame and "It is" not in frame else ("-", " "))
        value = joint.join(parts)
        return value, frame.replace("{}", value)

    def _secret(self) -> tuple[str, str]:
        some = self._some
        body = {
            "openai": lambda: f"sk-proj-{some(_URL_SAFE, 48)}T3BlbkFJ{some(_ALNUM, 20)}",
            "openai, old": lambda: f"sk-{some(_ALNUM, 48)}",
            "anthropic": lambda: f"sk-ant-api03-{some(_URL_SAFE, 80)}AA",
            "github": lambda: f"ghp_{some(_ALNUM, 36)}",
            "github, fine": lambda: f"github_pat_{some(_ALNUM, 22)}_{some(_ALNUM, 59)}",
            "gitlab": lambda: f"glpat-{some(_URL_SAFE, 20)}",
            "aws id": lambda: f"AKIA{some('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', 16)}",
            "aws secret": lambda: f"aws_secret_access_key={some(_ALNUM + '/+', 40)}",
            "google": lambda: f"AIza{some(_URL_SAFE, 35)}",
            "slack": lambda: f"xoxb-{some('0123456789', 12)}-{some('0123456789', 12)}-{some(_ALNUM, 24)}",
            "slack hook": lambda: (
                f"https://hooks.slack.com/services/T{some(_UPPER, 8)}/B{some(_UPPER, 8)}/{some(_ALNUM, 24)}"
            ),
            "stripe": lambda: f"sk_live_{some(_ALNUM, 24)}",
            "stripe hook": lambda: f"whsec_{some(_ALNUM, 32)}",
            "sendgrid": lambda: f"SG.{some(_URL_SAFE, 22)}.{some(_URL_SAFE, 43)}",
            "twilio": lambda: f"SK{some(_HEX, 32)}",
            "mailgun": lambda: f"key-{some(_HEX, 32)}",
            "npm": lambda: f"npm_{some(_ALNUM, 36)}",
            "pypi": lambda: f"pypi-AgEIcHlwaS5vcmc{some(_URL_SAFE, 70)}",
            "huggingface": lambda: f"hf_{some(string.ascii_letters, 34)}",
            "digitalocean": lambda: f"dop_v1_{some(_HEX, 64)}",
            "telegram": lambda: f"{some('123456789', 1)}{some('0123456789', 8)}:AA{some(_URL_SAFE, 33)}",
            "shopify": lambda: f"shpat_{some(_HEX, 32)}",
            "databricks": lambda: f"dapi{some(_HEX, 32)}",
            "vault": lambda: f"hvs.{some(_URL_SAFE, 90)}",
            "grafana": lambda: f"glsa_{some(_ALNUM, 32)}_{some(_HEX, 8)}",
            "jwt": self._jwt,
            "pem": self._pem,
            "generic key": lambda: f"api_key: {some(_ALNUM, 32)}",
            "client secret": lambda: f'"client_secret": "{some(_URL_SAFE, 34)}"',
            "bearer": lambda: f"Authorization: Bearer {some(_URL_SAFE, 40)}",
            "password": lambda: f"password: {some(_ALNUM, 8)}{self._random.choice('!#%*')}{some('0123456789', 2)}",
        }
        value = body[self._random.choice(list(body))]()
        # of a labelled secret only the secret counts
        bare = value
        for sign in (": ", "=", "Bearer "):
            if not value.startswith(("http", "-----")) and sign in value:
                bare = value.rpartition(sign)[2].strip('"')
        return bare, sentence("secret", value, "en", self._random)

    def _jwt(self) -> str:
        head, body = {"alg": "HS256", "typ": "JWT"}, {"sub": self._some("0123456789", 10), "iat": 1516239022}
        parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, body)]
        return ".".join((*parts, self._some(_URL_SAFE, 43)))

    def _pem(self) -> str:
        kind = self._random.choice(("RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY"))
        lines = [self._some(_ALNUM + "+/", 64) for _ in range(self._random.randint(3, 26))]
        return "\n".join((f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----"))

    def _connection(self) -> tuple[str, str]:
        secret = self._some(_ALNUM, 12)
        user = self._random.choice(("admin", "app", "svc_orders", "root"))
        host = self._random.choice(("db.internal", "10-0-0-3.example", "cluster0.ab12c.example.net"))
        value = self._random.choice(
            (
                f"postgresql://{user}:{secret}@{host}:5432/orders",
                f"mysql://{user}:{secret}@{host}/shop",
                f"mongodb+srv://{user}:{secret}@{host}/?retryWrites=true",
                f"redis://:{secret}@{host}:6379/0",
                f"amqp://{user}:{secret}@{host}:5672/vhost",
                f"Server={host};Database=shop;User Id={user};Password={secret};Encrypt=true",
                f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={secret}{self._some(_ALNUM + '+/', 74)}==",
                f"jdbc:mysql://{host}/shop?user={user}&password={secret}",
                f"host={host} user={user} password={secret} dbname=shop",
                f"ftp://{user}:{secret}@{host}/in",
            )
        )
        if "AccountKey" in value:
            secret = value.rpartition("AccountKey=")[2]
        return secret, sentence("connection_string", value, "en", self._random)

    def _url(self) -> tuple[str, str]:
        token = self._some(_URL_SAFE, self._random.randint(16, 40))
        name = self._random.choice(
            ("token", "access_token", "api_key", "apikey", "key", "sig", "signature", "auth", "session_id", "code",
             "X-Amz-Signature", "reset_token", "jwt", "secret", "password", "sid", "ticket", "invite_token")
        )  # fmt: skip
        path = self._random.choice(("reset", "login/callback", "v1/files/report.pdf", "share"))
        joint = self._random.choice(("?", "?lang=en&", "#"))
        value = f"https://shop.example.com/{path}{joint}{name}={token}"
        return token, sentence("url_token", value, "en", self._random)
