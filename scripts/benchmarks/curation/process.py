"""One measurement: a peer's script in a process of its own."""

import json
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flywheel.scripts.benchmarks.curation import child
from flywheel.scripts.benchmarks.curation.frame import Peer

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Once:
    """What one process took; units as in `frame.Measured`."""

    cpu: float
    process_cpu: float
    wall: float
    peak: float
    result: dict[str, Any]
    versions: dict[str, str]


def measure(peer: Peer, python: Path, data: Path, out: Path) -> Once:
    """Run a peer once.

    Args:
        peer: Peer.
        python: Its interpreter.
        data: Folder of the records.
        out: Empty folder for its results.

    Raises:
        RuntimeError: The script failed; the message has the end of what it printed.
    """
    names = peer.versions or tuple(re.split(r"[\[<>=~!]", one)[0] for one in peer.requirements)
    command = [str(python), child.__file__, str(PEERS / peer.script), str(data), str(out), ",".join(names)]
    quiet = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    quiet["HF_HOME"] = str(out / "huggingface")  # else the second round would find the first one's cache
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=subprocess.STDOUT, env=os.environ | quiet | dict(peer.settings)
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            end = said.read().decode(errors="replace")[-2000:]
            raise RuntimeError(f"{peer.name} ended with exit code {process.returncode}:\n{end}")
    found = json.loads(Path(out, "measured.json").read_text(encoding="utf-8"))
    return Once(
        cpu=found["cpu"],
        process_cpu=usage.ru_utime + usage.ru_stime,
        wall=found["wall"],
        peak=found["peak"],
        result=found["result"],
        versions=found["versions"],
    )
