"""The object store that a log URI names: what of the URI is path, wildcard, option and secret, and how it is opened."""

import re
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from flywheel.components.intake.errors import IntakeError
from flywheel.components.store.location import storage_options

WILD = "*?["
# A query is name=value pairs up to the end; any other "?" stands for one letter, as in a glob.
_QUERY = re.compile(r"\?(?P<query>[A-Za-z_]\w*=[^?*]*)$")
# The authority's part before "@"; a secret key may hold "/" that should have been %2F, and must not show either.
_USER = re.compile(r"(?<=://)(?P<name>[^/@:]*)(?::(?!\d+/)(?P<secret>[^@]*)|)@")
_SECRET_NAME = re.compile(r"key|secret|token|password|signature|sas|credential", re.IGNORECASE)
_S3_OPTIONS = ("endpoint_override", "region", "scheme")


@dataclass(frozen=True)
class LogAddress:
    """A log URI in its parts: `base` + `pattern` is the URI without its query.

    Attributes:
        base: URI of a file or folder, without wildcards.
        pattern: The path's rest from the "/" before its first wildcard on; "" without wildcards.
        query: Options of the file system, `name=value&...`, as in pyarrow's URIs; "" when there are none.
    """

    base: str
    pattern: str
    query: str

    @classmethod
    def of(cls, uri: str) -> "LogAddress":
        """Take a URI apart.

        Args:
            uri: scheme://...; wildcards in its path, and an option's value with "?" or "*" percent-encoded.
        """
        found = _QUERY.search(uri)
        plain, query = (uri[: found.start()], found["query"]) if found else (uri, "")
        wild = next((index for index, sign in enumerate(plain) if sign in WILD), None)
        cut = len(plain) if wild is None else plain.rfind("/", 0, wild)
        return cls(plain[:cut], plain[cut:], query)

    def shown(self) -> str:
        """Return the URI for messages and records: without credentials and options."""
        named = self.base.startswith("abfs")  # by its container or account; elsewhere it is a key's name
        return _USER.sub(lambda user: f"{user['name']}@" if named and user["name"] else "", self.base + self.pattern)

    def hidden_in(self, text: str) -> str:
        """Return a text of others, such as an error of the object store, without what `shown` leaves out."""
        user = _USER.search(self.base)
        secrets = [user["secret"] or ""] if user else []
        secrets += [value for name, value in parse_qsl(self.query) if _SECRET_NAME.search(name)]
        for whole in (f"{self.base}?{self.query}", self.base):
            text = text.replace(whole, self.shown())
        if self.query:
            text = text.replace(self.query, "...")
        for secret in sorted({*secrets, *map(unquote, secrets)} - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def open(self) -> tuple[pafs.FileSystem, str]:
        """Open the object store, with the options that the feedback store's is opened with, too.

        Credentials come from the object store's own variables (AWS_*, GOOGLE_*, AZURE_*); FLYWHEEL_STORAGE_OPTIONS adds
        what they cannot say, as the endpoint of an S3-compatible store or the key of an Azure account; the URI's own
        options go before both.

        Returns:
            The file system, and the base's path in it.

        Raises:
            IntakeError: The URI's options cannot be used together with FLYWHEEL_STORAGE_OPTIONS.
            OSError: The store cannot be opened.
            pyarrow.ArrowException: The URI is not valid.
        """
        options = {name.lower(): value for name, value in (storage_options() or {}).items()}
        if self.base.startswith(("abfs://", "abfss://")) and not self.query and (own := _azure_settings(options)):
            return pafs.AzureFileSystem(**own), _azure_path(self.base)
        if not self.base.startswith("s3://") or not options:
            uri = f"{self.base}?{self.query}" if self.query else self.base
            return cast(tuple[pafs.FileSystem, str], pafs.FileSystem.from_uri(uri))
        own = dict(parse_qsl(self.query))
        if unknown := sorted(set(own) - set(_S3_OPTIONS)):
            raise IntakeError(
                f"the logs' URI {self.shown()} has the options {', '.join(unknown)}, which cannot be used together "
                f"with FLYWHEEL_STORAGE_OPTIONS; give only {', '.join(_S3_OPTIONS)}, or unset the variable"
            )
        user = _USER.search(self.base)
        if user and user["secret"]:
            own |= {"access_key": unquote(user["name"]), "secret_key": unquote(user["secret"])}
            options.pop("aws_session_token", None)  # it belongs to the other key
        path = _USER.sub("", self.base).removeprefix("s3://")
        return pafs.S3FileSystem(**(_s3_settings(options) | own)), path


def open_problem(address: LogAddress, error: OSError | pa.ArrowException) -> IntakeError:
    """Say that logs cannot be listed, without the URI's secrets."""
    return IntakeError(f"cannot list the logs {address.shown()}: {address.hidden_in(str(error))}")


def _s3_settings(options: dict[str, str]) -> dict[str, str]:
    """Translate deltalake's names for the options of S3 into pyarrow's."""
    endpoint = options.get("aws_endpoint_url", options.get("aws_endpoint", ""))
    scheme, _, host = endpoint.rpartition("://")
    given = {
        "access_key": options.get("aws_access_key_id"),
        "secret_key": options.get("aws_secret_access_key"),
        "session_token": options.get("aws_session_token"),
        "region": options.get("aws_region", options.get("aws_default_region")),
        "endpoint_override": host,
        "scheme": scheme,
    }
    return {name: value for name, value in given.items() if value}


def _azure_settings(options: dict[str, str]) -> dict[str, str]:
    """Translate deltalake's names for an Azure account and its key or SAS token into pyarrow's; {} without them."""

    def of(*names: str) -> str:
        return next((options[name] for name in (f"azure_storage_{one}" for one in names) if name in options), "")

    given = {"account_name": of("account_name"), "account_key": of("account_key", "access_key", "master_key")}
    given["sas_token"] = of("sas_token", "sas_key")
    if not given["account_name"] or not (given["account_key"] or given["sas_token"]):
        return {}
    scheme, _, host = of("endpoint").rpartition("://")
    for service in ("blob", "dfs"):
        given |= {f"{service}_storage_authority": host.partition("/")[0], f"{service}_storage_scheme": scheme}
    return {name: value for name, value in given.items() if value}


def _azure_path(base: str) -> str:
    """Return container/path of a URI: container@account.dfs..., account...:port/container/..., or container/..."""
    place = urlsplit(base)
    host = place.hostname or ""
    if ".dfs." in host:
        return f"{place.username or ''}{place.path}".strip("/")
    inside = "." in host or place.port is not None
    return (place.path if inside else host + place.path).strip("/")
