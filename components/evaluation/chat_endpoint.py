"""Client of any OpenAI-compatible chat endpoint (`POST {base}/chat/completions`), with the standard library only.

What leaves the machine is the conversation, the model's name and the sampling settings. The API key is read from an
environment variable whose *name* is given: parameters are stored in run histories, secrets are not parameters. The key
is never part of a message, a repr or an error. Redirects are not followed, since the key would follow them.

Source: OpenAI API reference, "Create chat completion" (as served by vLLM, llama.cpp, TGI, KServe and others);
RFC 9110 section 10.2.3 (Retry-After).
"""

import http.client
import json
import os
import random
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

Message = Mapping[str, str]  # {"role": ..., "content": ...}

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TRANSIENT = {408, 409, 425, 429, 500, 502, 503, 504}
_FATAL = {"unreachable", "unauthorized", "model_missing", "no_such_path", "quota_spent", "redirected"}
_LARGEST_REPLY = 4_000_000  # bytes
_LONGEST_WAIT = 60.0  # seconds between two tries; an endpoint that asks for more is reported, not waited for
_FIRST_WAIT = 0.5
_GIVE_UP = 5  # questions in a row that fail in spite of all tries


class EndpointError(RuntimeError):
    """The endpoint did not give a usable answer.

    Attributes:
        code: `unreachable`, `unauthorized`, `model_missing`, `no_such_path`, `quota_spent`, `redirected`, `overloaded`,
            `rejected`, `timeout` or `malformed`.
        fatal: Whether the next request would fail in the same way, so that asking on is of no use.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.fatal = code in _FATAL


@dataclass(frozen=True)
class Completion:
    """One answer of the endpoint.

    Attributes:
        text: The answer, stripped.
        finish_reason: `stop`, `length`, ...; empty when the endpoint does not say.
        tokens: Tokens generated, or None when the endpoint does not count.
    """

    text: str
    finish_reason: str
    tokens: int | None


class ChatEndpoint:
    """An OpenAI-compatible chat endpoint; safe to use from several threads.

    Args:
        url: Base URL as in `https://host/v1`; `/chat/completions` is added when it is missing.
        model: Model name that the endpoint serves.
        api_key_variable: Name of the environment variable that holds the API key; empty: no key is sent.
        timeout: Longest time for one try, from connecting to the last byte, seconds.
        retries: Further tries after a time-out, a broken connection, 408, 409, 425, 429 or 5xx.
        wait: Called with seconds between tries; tests replace it.

    Raises:
        ValueError: The URL is none or holds a password, the model has no name, the variable's name is none or it is
            not set, or a number is out of range.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key_variable: str = "",
        timeout: float = 60.0,
        retries: int = 4,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, local = _address(url)
        self.model = model.strip()
        if not self.model:
            raise ValueError(f"name the model to ask at {self.url}")
        if timeout <= 0 or retries < 0:
            raise ValueError(f"timeout must be positive and retries at least 0, got {timeout} and {retries}")
        self.timeout, self.retries, self._wait = float(timeout), int(retries), wait
        self._key = _secret(api_key_variable)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if local:  # a proxy cannot reach this machine's own loopback
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)
        self._dropped: frozenset[str] = frozenset()  # settings that this model does not take

    def __repr__(self) -> str:
        return f"ChatEndpoint(url={self.url!r}, model={self.model!r})"

    def complete(
        self, messages: Sequence[Message], max_tokens: int = 256, temperature: float = 0.0, seed: int | None = None
    ) -> Completion:
        """Ask once, trying again where that can help.

        Args:
            messages: The conversation; the last message is usually the user's.
            max_tokens: Longest answer, tokens.
            temperature: Sampling temperature; 0 is greedy.
            seed: Sampling seed; None sends none.

        Returns:
            The answer.

        Raises:
            EndpointError: No usable answer; the code says why.
        """
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message["role"], "content": message["content"]} for message in messages],
            "max_tokens": max_tokens,
            "temperature": temperature,
        }
        if seed is not None:
            body["seed"] = seed
        tries = 0
        while True:
            try:
                return _read(self._post(self._fitted(body)), self.url)
            except _Unsupported as error:
                self._dropped |= {error.setting}
            except _Transient as error:
                if tries >= self.retries or (error.retry_after or 0) > _LONGEST_WAIT:
                    asked = f"; it asks to wait {error.retry_after:.0f} s" if error.retry_after else ""
                    raise EndpointError(error.code, f"{error} after {tries + 1} tries{asked}") from error
                pause = min(_LONGEST_WAIT, _FIRST_WAIT * 2**tries) * random.uniform(0.5, 1.0)
                self._wait(error.retry_after if error.retry_after is not None else pause)
                tries += 1

    def complete_all(
        self, conversations: Sequence[Sequence[Message]], max_tokens: int = 256, workers: int = 4
    ) -> list[Completion | EndpointError]:
        """Ask many independent questions, some at a time.

        Args:
            conversations: One conversation per question.
            max_tokens: Longest answer, tokens.
            workers: Questions in flight at a time.

        Returns:
            An answer or its error per question, in order. After a fatal error (such as a wrong key), or after a few
            questions in a row that failed in spite of all tries, the questions that were not asked yet get the same
            error without being asked.
        """
        stopped: list[EndpointError] = []
        in_a_row: list[EndpointError] = []

        def ask(messages: Sequence[Message]) -> Completion | EndpointError:
            if stopped:
                return stopped[0]
            try:
                made = self.complete(messages, max_tokens)
            except EndpointError as error:
                in_a_row.append(error)
                if error.fatal or len(in_a_row) >= _GIVE_UP:
                    stopped.append(error)
                return error
            in_a_row.clear()
            return made

        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool:
            return list(pool.map(ask, conversations))

    def _fitted(self, body: dict[str, Any]) -> dict[str, Any]:
        """Leave out what the model was found not to take; newer models want `max_completion_tokens`."""
        fitted = {name: value for name, value in body.items() if name not in self._dropped}
        if "max_tokens" in self._dropped:
            fitted["max_completion_tokens"] = body["max_tokens"]
        return fitted

    def _post(self, body: dict[str, Any]) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers, method="POST")
        try:
            with self._opener.open(request, timeout=self.timeout) as reply:
                return self._whole(reply)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None
        except TimeoutError as error:
            raise _Transient("timeout", f"{self.url} gave no answer within {self.timeout:g} s") from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise _Transient("timeout", f"{self.url} gave no answer within {self.timeout:g} s") from error
            raise _Transient("unreachable", f"{self.url}: {reason}; check the address and the network") from error

    def _whole(self, reply: http.client.HTTPResponse) -> bytes:
        """Read a reply; the time limit holds for all of it, not for each packet."""
        until, parts, size = time.monotonic() + self.timeout, [], 0
        while part := reply.read1(65536):
            parts.append(part)
            size += len(part)
            if size > _LARGEST_REPLY:
                raise EndpointError("malformed", f"{self.url} sent more than {_LARGEST_REPLY} bytes")
            if time.monotonic() > until:
                raise TimeoutError
        return b"".join(parts)

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        """Turn an HTTP status into an error that says what to do."""
        try:
            told, reason, setting = _told(error.read(100_000))
        except (OSError, http.client.HTTPException) as broken:
            told, reason, setting = f"(no readable message: {broken})", "", ""
        told = told.replace(self._key, "***") if self._key else told
        words = f"{self.url} answered {error.code}: {told}"
        if error.code in (400, 422) and setting in {"max_tokens", "temperature", "seed"} - self._dropped:
            return _Unsupported(setting)
        code, advice = self._diagnosis(error.code, told, reason)
        if code == "overloaded":
            return _Transient(code, words, _retry_after(error.headers.get("Retry-After")))
        return EndpointError(code, words + advice)

    def _diagnosis(self, status: int, told: str, reason: str) -> tuple[str, str]:
        """Error code and advice for an HTTP status."""
        if 300 <= status < 400:
            return "redirected", "; redirects are not followed, give the final URL"
        if status in (401, 403):
            return "unauthorized", "; check the API key in the environment variable"
        if reason == "insufficient_quota":
            return "quota_spent", ""
        if status == 404 and (reason == "model_not_found" or "model" in told.casefold()):
            return "model_missing", f"; the endpoint does not serve {self.model!r}"
        if status == 404:
            return "no_such_path", "; the base URL usually ends in /v1"
        return ("overloaded", "") if status in _TRANSIENT or status >= 500 else ("rejected", "")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class _Transient(Exception):
    """A failure that another try may not meet."""

    def __init__(self, code: str, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.code, self.retry_after = code, retry_after


class _Unsupported(Exception):
    """The model does not take a setting."""

    def __init__(self, setting: str) -> None:
        super().__init__(setting)
        self.setting = setting


def _address(url: str) -> tuple[str, bool]:
    """Return the URL to post to, and whether it is this machine."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("http", "https"):
        raise ValueError("the endpoint must be a URL like https://host/v1")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError(
            "the endpoint's URL may hold no user, password or query: parameters are stored in run histories. "
            "Put the API key into an environment variable and give the variable's name"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path}/chat/completions", host in _LOOPBACK


def _secret(variable: str) -> str:
    if not variable:
        return ""
    if not _VARIABLE.fullmatch(variable):  # perhaps the key itself: it must not be repeated in a message
        raise ValueError("api_key_variable must be the NAME of an environment variable, such as JUDGE_API_KEY")
    key = os.environ.get(variable, "").strip()
    if not key:
        shown = variable if variable.isupper() else "named by api_key_variable"
        raise ValueError(f"the environment variable {shown} is not set; put the API key of the endpoint there")
    if not key.isascii() or not key.isprintable():
        raise ValueError("the API key holds characters that no HTTP header can carry")
    return key


def _read(raw: bytes, url: str) -> Completion:
    """Read a completion strictly; anything else is an error, never an empty answer."""
    try:
        reply = json.loads(raw)
        choice = reply["choices"][0]
        text = choice["message"]["content"]
        if isinstance(text, list):  # content parts
            text = "".join(part["text"] for part in text if part.get("type") == "text")
        if not isinstance(text, str):
            raise TypeError("the message has no text")
        counted = (reply.get("usage") or {}).get("completion_tokens")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        start = raw[:200].decode("utf-8", "replace")
        raise EndpointError("malformed", f"{url} sent no chat completion ({error}): {start!r}") from error
    tokens = counted if isinstance(counted, int) and counted >= 0 else None
    return Completion(text.strip(), str(choice.get("finish_reason") or ""), tokens)


def _told(raw: bytes) -> tuple[str, str, str]:
    """Message, code and parameter of an error reply, as far as it has them."""
    text = raw.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text)
    except ValueError:
        return text[:300], "", ""
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return str(error)[:300], "", ""
    words = error.get("message") or error.get("detail") or text
    return str(words)[:300], str(error.get("code") or ""), str(error.get("param") or "")


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait; the header holds seconds or a date (RFC 9110)."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
