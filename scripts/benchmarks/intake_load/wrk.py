"""wrk as the load generator: its script, and what its report says."""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

# Every request has an id of its own, of the shape that KServe's logger makes.
_SCRIPT = """
local run = %d
local number = 0
local texts = {
  "The refund period is 30 days since the first of May, not 14 days.",
  "Orders of more than 50 euros are shipped free of charge.",
  "My name is Maria Lopez, write to maria.lopez@example.org when it is repaired.",
  "The shop in the old town closes at six, on Saturdays at two.",
}
function request()
  number = number + 1
  local id = string.format("%%08x-%%04x-4%%03x-8%%03x-%%012x", run, number %% 65536, number %% 4096, 0, number)
  return wrk.format("POST", "/v1/feedback", {["content-type"] = "application/json"}, string.format(
    '{"interaction":"%%s","user":"u-%%d","rating":-1,"correction":"%%s","comment":"outdated","timestamp":"%%s"}',
    id, number %% 997, texts[number %% 4 + 1], "2026-11-20T09:30:00Z"))
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
"""
MISSING = "wrk is not installed; install it (Debian: apt-get install wrk) or pass --client python"


@dataclass(frozen=True)
class Load:
    """Requests answered and how fast."""

    answered: int
    seconds: float
    p50: float  # seconds
    p99: float
    refused: int  # answers that were not 2xx
    broken: int  # connections


def available() -> bool:
    """Whether wrk is there."""
    return shutil.which("wrk") is not None


def load(port: int, connections: int, seconds: int, run: int) -> Load:
    """Load the service.

    Args:
        port: Of the service on loopback.
        connections: Kept open.
        seconds: Duration.
        run: Part of the ids, so that two runs send different events.

    Raises:
        ValueError: wrk is not there, or said something else than expected.
    """
    if not available():
        raise ValueError(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "feedback.lua"
        script.write_text(_SCRIPT % run, encoding="utf-8")
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    match = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", done.stdout)
    if done.returncode or match is None:
        raise ValueError(f"wrk failed with {done.returncode}: {(done.stderr or done.stdout)[-500:]}")
    answered, micros, p50, p99, refused, broken = map(int, match.groups())
    return Load(answered, micros / 1e6, p50 / 1e6, p99 / 1e6, refused, broken)
