"""What is kept of a TrainJob: the object, its events and the last words of its pods, readable without the cluster."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from flywheel.components.training.cluster.pods import Pods, PodState

_FACTS = ("reason", "message", "type", "count", "firstTimestamp", "lastTimestamp", "eventTime")


def keep(folder: Path, job: dict[str, Any], pods: Pods, seen: Iterable[PodState]) -> list[str]:
    """Write `trainjob.yaml`, `events.jsonl`, `pods.json` and `logs/<pod>.log`.

    Args:
        folder: Where; made.
        job: The TrainJob as it was last seen.
        pods: Reads events and logs.
        seen: The pods there were.

    Returns:
        Names of the files written, below the folder.
    """
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    shown = {**job, "metadata": {key: value for key, value in job["metadata"].items() if key != "managedFields"}}
    (folder / "trainjob.yaml").write_text(yaml.safe_dump(shown, sort_keys=False), encoding="utf-8")
    with (folder / "events.jsonl").open("w", encoding="utf-8") as file:
        for event in pods.events():
            facts = {key: event[key] for key in _FACTS if event.get(key) is not None}
            about = {key: event["involvedObject"].get(key) for key in ("kind", "name")}
            file.write(json.dumps({"about": about, **facts}) + "\n")
    states = [vars(pod) for pod in seen]
    (folder / "pods.json").write_text(json.dumps(states, indent=2) + "\n", encoding="utf-8")
    for pod in pods.now():
        text = pods.tail(pod.name, 500)
        if not (text.startswith("(the log of") and (folder / "logs" / f"{pod.name}.log").exists()):
            (folder / "logs" / f"{pod.name}.log").write_text(text + "\n", encoding="utf-8")
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
