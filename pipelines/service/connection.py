"""The connection to a pipeline service: address, namespace and token; reads are tried again, writes never blindly."""

import os
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from flywheel.pipelines.service.errors import UnauthorizedError, UnreachableError, translated

Result = TypeVar("Result")

ENDPOINT = "FLYWHEEL_KFP_ENDPOINT"
TOKEN = "FLYWHEEL_KFP_TOKEN"


@dataclass(frozen=True)
class Service:
    """Where the service is and who we are there.

    Attributes:
        endpoint: Address, `https://host/path`.
        namespace: Profile namespace in a multi-user installation; empty: single-user.
        token_file: File with a bearer token, read again before each call, so a rotated token is taken up (a projected
            service-account token, for example); empty: the token of the environment, or none.
        ca_file: Certificate authority of the server; empty: the usual ones.
        tries: Attempts of a read.
        pause: Seconds before the second attempt; doubled each time.
    """

    endpoint: str
    namespace: str = ""
    token_file: str = ""
    ca_file: str = ""
    tries: int = 5
    pause: float = 0.5

    @classmethod
    def of(cls, endpoint: str, namespace: str = "", token_file: str = "", ca_file: str = "") -> "Service":
        """Take the address from the option or the environment.

        Raises:
            ValueError: There is neither, it is no address, or the token file is missing.
        """
        address = (endpoint or os.environ.get(ENDPOINT, "")).rstrip("/")
        if not address.startswith(("http://", "https://")):
            raise ValueError(
                f"the address of the pipeline service must start with http:// or https://, got {address!r}; give "
                f"--endpoint or set {ENDPOINT}, for example http://localhost:8888 behind "
                "`kubectl port-forward -n kubeflow svc/ml-pipeline 8888`"
            )
        for name, file in (("--token-file", token_file), ("--ca-file", ca_file)):
            if file and not Path(file).is_file():
                raise ValueError(f"{name}: there is no file {file}")
        return cls(address, namespace, token_file, ca_file)

    def connect(self) -> "Connection":
        """Open the connection after a look at the service's health.

        Raises:
            UnreachableError: Nothing answers.
            UnauthorizedError: A login page or a refusal answers.
        """
        self._look()
        return Connection(self)

    def _look(self) -> None:
        import urllib3

        pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10), ca_certs=self.ca_file or None)
        url = f"{self.endpoint}/apis/v2beta1/healthz"
        last = ""
        for number in range(self.tries):
            if number:
                time.sleep(self.pause * 2 ** (number - 1))
            try:
                answer = pool.request("GET", url, headers=self._headers(), redirect=False)
            except urllib3.exceptions.HTTPError as error:
                last = f"{type(error).__name__}: {error}"
                continue
            if answer.status in (301, 302, 303, 307, 401, 403):
                raise UnauthorizedError(
                    f"{self.endpoint} wants a login (answer {answer.status}); give a bearer token with --token-file "
                    f"or {TOKEN}"
                )
            if answer.status == 200 and "json" in answer.headers.get("Content-Type", "json"):
                return
            last = f"answer {answer.status}"
            if answer.status < 500 and answer.status != 429:
                break
        raise UnreachableError(
            f"no pipeline service at {self.endpoint} ({last}); check --endpoint (or {ENDPOINT}): it is the address "
            "whose /apis/v2beta1/healthz answers"
        )

    def _headers(self) -> dict[str, str]:
        token = self.token()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def token(self) -> str:
        """Return the bearer token as it is now; "" for none."""
        if self.token_file:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        return os.environ.get(TOKEN, "")


class Connection:
    """An open connection.

    Attributes:
        client: The SDK's `kfp.Client`.
        service: Where it leads.
    """

    def __init__(self, service: Service) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # "works with 2.0.0-beta.2 and later": we do
            from kfp import Client

            # A namespace keeps the client from asking the service for one; single-user services ignore it.
            self.client: Any = Client(
                host=service.endpoint,
                namespace=service.namespace or "kubeflow",
                existing_token=service.token() or None,
                ssl_ca_cert=service.ca_file or None,
            )
        self.service = service
        if not service.namespace:
            self.client._context_setting["namespace"] = ""
        if service.token_file:
            configuration = self.client._existing_config

            def refresh(config: Any) -> None:
                config.api_key["authorization"] = service.token()

            configuration.refresh_api_key_hook = refresh

    def read(self, what: str, function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """Ask for something; tried again while the service is away, because asking twice changes nothing.

        Raises:
            ServiceError: As `errors.translated`.
        """
        for number in range(1, self.service.tries + 1):
            try:
                return self.write(what, function, *arguments, **options)
            except UnreachableError:
                if number == self.service.tries:
                    raise
                time.sleep(self.service.pause * 2 ** (number - 1))
        raise AssertionError("unreachable: the loop returns or raises")

    def write(self, what: str, function: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """Change something, once: a lost answer leaves open whether it was done, so the caller has to look.

        Raises:
            ServiceError: As `errors.translated`.
        """
        with translated(what, self.service.endpoint):
            return function(*arguments, **options)

    def pages(self, what: str, function: Callable[..., Any], field: str, **options: Any) -> list[Any]:
        """Read all pages of a list.

        Args:
            what: What is listed, for errors.
            function: The client's list function.
            field: Attribute of a page that holds its items.
            **options: Passed on.

        Returns:
            The items of all pages.
        """
        found: list[Any] = []
        token = ""
        while True:
            page = self.read(what, function, page_token=token, page_size=100, **options)
            found += getattr(page, field) or []
            token = page.next_page_token or ""
            if not token:
                return found
