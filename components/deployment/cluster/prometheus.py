"""Errors and latencies of both arms from Prometheus, through its HTTP API (v1), and the kill switches on errors."""

import json
import math
import os
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from flywheel.components.deployment.canary.policy import KillSwitches
from flywheel.components.deployment.canary.turn import Arm

TOKEN_VARIABLE = "FLYWHEEL_PROMETHEUS_TOKEN"  # bearer token, where Prometheus asks for one
_TIMEOUT = 15.0  # seconds


class PrometheusError(RuntimeError):
    """Prometheus cannot be asked, or does not understand the question; says what to do."""

    reason = "PROMETHEUS"


@dataclass(frozen=True)
class Queries:
    """PromQL for one arm; `{arm}` is its backend (Standard) or revision (Knative), `{window}` whole seconds.

    `requests` and `errors` are counts over the window, `latency` the 95th percentile in milliseconds.
    """

    requests: str
    errors: str
    latency: str

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Queries":
        """Read queries of one's own.

        Raises:
            ValueError: Not a mapping of requests, errors and latency.
        """
        import yaml

        try:
            given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
            return cls(**{name: str(given[name]) for name in ("requests", "errors", "latency")})
        except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
            raise ValueError(f"{path} must give PromQL for requests, errors and latency: {error!r}") from error


_ISTIO = 'destination_service_namespace="{namespace}",destination_service_name="{arm}"'
_KNATIVE = 'namespace_name="{namespace}",revision_name="{arm}"'
PRESETS: dict[str, Queries] = {
    "Standard": Queries(  # Istio's standard metrics, of the gateway or of sidecars
        requests=f"sum(increase(istio_requests_total{{{_ISTIO}}}[{{window}}s]))",
        errors=f'sum(increase(istio_requests_total{{{_ISTIO},response_code=~"5.."}}[{{window}}s]))',
        latency=f"histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket{{{_ISTIO}}}"
        "[{window}s])))",
    ),
    "Knative": Queries(  # metrics of the queue-proxy
        requests=f"sum(increase(revision_app_request_count{{{_KNATIVE}}}[{{window}}s]))",
        errors=f'sum(increase(revision_app_request_count{{{_KNATIVE},response_code_class="5xx"}}[{{window}}s]))',
        latency=f"histogram_quantile(0.95, sum by (le) (rate(revision_app_request_latencies_bucket{{{_KNATIVE}}}"
        "[{window}s])))",
    ),
}


@dataclass(frozen=True)
class ArmHealth:
    """One arm over a window; None: Prometheus has no such series."""

    requests: float | None
    errors: float | None
    latency_p95_ms: float | None


class Prometheus:
    """A client of the instant query.

    Args:
        url: Base address, such as http://prometheus.monitoring:9090.

    Raises:
        ValueError: The address is none.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"prometheus {url!r}: give an address such as http://prometheus.monitoring:9090")
        self.url = url.rstrip("/")

    def number(self, query: str, at: datetime | None = None) -> float | None:
        """Ask for one number.

        Args:
            query: PromQL that gives a scalar or a vector of at most one element.
            at: Moment of evaluation; None: Prometheus's now.

        Returns:
            The number; None when there is no series, or it is NaN (0 / 0).

        Raises:
            PrometheusError: No answer, a refusal, or an answer that is no number.
        """
        asked = {"query": query} | ({"time": f"{at.timestamp():.3f}"} if at else {})
        data = self._get(asked)
        found: list[Any] = data.get("result") or []
        if data.get("resultType") == "scalar":
            value = found[1]
        elif data.get("resultType") == "vector":
            if not found:
                return None
            if len(found) > 1:
                raise PrometheusError(f"{query!r} gives {len(found)} series, wanted one: sum over their labels")
            value = found[0]["value"][1]
        else:
            raise PrometheusError(
                f"{query!r} gives a {data.get('resultType')}; an instant query for a number is wanted"
            )
        number = float(value)
        return None if math.isnan(number) else number

    def _get(self, asked: dict[str, str]) -> dict[str, Any]:
        import urllib3

        headers = {"Accept": "application/json"}
        if token := os.environ.get(TOKEN_VARIABLE):
            headers["Authorization"] = f"Bearer {token}"
        url = f"{self.url}/api/v1/query?{urlencode(asked)}"
        try:
            answer = urllib3.request(
                "GET", url, headers=headers, timeout=_TIMEOUT, retries=urllib3.Retry(2, redirect=0, backoff_factor=0.2)
            )
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise PrometheusError(
                f"no answer from Prometheus at {self.url} ({type(cause).__name__}); check the address, and that the "
                "NetworkPolicy lets this step reach it"
            ) from error
        if answer.status in (401, 403):
            raise PrometheusError(
                f"Prometheus at {self.url} answers {answer.status}: give a token in the environment ({TOKEN_VARIABLE})"
            )
        try:
            told = json.loads(answer.data)
            status, data = told["status"], told.get("data", {})
        except (ValueError, KeyError, TypeError) as error:
            raise PrometheusError(
                f"{self.url} is no Prometheus: HTTP {answer.status} without its JSON ({answer.data[:80]!r})"
            ) from error
        if status != "success":
            raise PrometheusError(
                f"Prometheus refuses {asked['query']!r}: {told.get('errorType')}: {told.get('error')}"
            )
        return dict(data)


class ErrorAlarm:
    """Kill switches of the candidate's arm as a whole; see `users.Alarms`.

    Args:
        prometheus: Where to ask.
        queries: What to ask.
        namespace: Of the service.
        kill: Limits.
    """

    def __init__(self, prometheus: Prometheus, queries: Queries, namespace: str, kill: KillSwitches) -> None:
        self._prometheus, self._queries, self._namespace, self._kill = prometheus, queries, namespace, kill

    def health(self, arm: str, since: datetime, now: datetime) -> ArmHealth:
        """Read one arm over a window.

        Args:
            arm: Backend or revision.
            since: When the window begins.
            now: When it ends.

        Raises:
            PrometheusError: It cannot be read.
        """
        window = str(max(1, math.ceil((now - since).total_seconds())))
        values = {"{namespace}": self._namespace, "{arm}": arm, "{window}": window}
        numbers = []
        for query in (self._queries.requests, self._queries.errors, self._queries.latency):
            filled = reduce(lambda text, pair: text.replace(*pair), values.items(), query)
            numbers.append(self._prometheus.number(filled, now))
        return ArmHealth(*numbers)

    def kills(self, arms: dict[Arm, str], since: datetime, now: datetime) -> tuple[str, ...]:
        """Whether the candidate fails too often; a candidate without any series says nothing and kills nothing.

        Raises:
            PrometheusError: It cannot be read.
        """
        candidate = self.health(arms["candidate"], since, now)
        requests, errors = candidate.requests or 0.0, candidate.errors or 0.0
        if errors >= self._kill.minimum_errors and errors >= self._kill.error_rate * requests:
            production = self.health(arms["production"], since, now)
            return (
                f"kill-errors: {errors:.0f} of {requests:.0f} requests to the candidate failed (Prometheus; production "
                f"{production.errors or 0:.0f} of {production.requests or 0:.0f})",
            )
        return ()

    def unknown(self, arms: dict[Arm, str], since: datetime, now: datetime) -> tuple[str, ...]:
        """Why nobody may go on: a candidate that Prometheus does not see has not been shown to work.

        Raises:
            PrometheusError: It cannot be read.
        """
        if (self.health(arms["candidate"], since, now).requests or 0.0) > 0:
            return ()
        return (
            f"no-series: Prometheus at {self._prometheus.url} counts no request to {arms['candidate']}; give "
            "queries that fit the gateway's metrics",
        )
