"""The compiled pipelines as `Pipeline` and `PipelineVersion` resources (`pipelines.kubeflow.org/v2beta1`) for GitOps.

A version's spec is immutable in the cluster, so its name carries the package version and a hash of its content:
unchanged content keeps its name (a second apply does nothing), changed content makes a new version. A file that is
there already is left as it is, byte for byte, because the cluster would refuse to change it too.
Source of the schema: kubeflow/pipelines, backend/src/crd/kubernetes/v2beta1.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

API_VERSION = "pipelines.kubeflow.org/v2beta1"
FOLDER = Path(__file__).parents[1] / "manifests" / "pipelines"
SOURCE = "https://github.com/feedback-flywheel/feedback-flywheel"
_LABELS = {"app.kubernetes.io/part-of": "feedback-flywheel", "app.kubernetes.io/managed-by": "gitops"}
_HASH = 10


@dataclass(frozen=True)
class Origin:
    """Where the compiled content comes from.

    Attributes:
        version: Package version, `1.2.3`.
        commit: Git commit of the sources; empty: not known, and the version's tag stands for it.
        source: Address of the repository.
    """

    version: str
    commit: str = ""
    source: str = SOURCE

    @property
    def url(self) -> str:
        """Address of the sources at that commit, or at the version's tag."""
        return f"{self.source}/tree/{self.commit or f'v{self.version}'}"


def resources(ir: str, origin: Origin) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make both resources of one pipeline.

    Args:
        ir: The compiled YAML: the pipeline spec, and the platform spec as a second document where there is one.
        origin: Version and source.

    Returns:
        The Pipeline (synchronised first) and the PipelineVersion.

    Raises:
        ValueError: The text is no compiled pipeline.
    """
    documents = list(yaml.safe_load_all(ir))
    if not documents or not isinstance(documents[0], dict) or "pipelineInfo" not in documents[0]:
        raise ValueError("not a compiled pipeline: no pipelineInfo in the first document")
    spec, platform = documents[0], documents[1] if len(documents) > 1 else None
    name = spec["pipelineInfo"]["name"]
    words = spec["pipelineInfo"].get("description", name)
    digest = hashlib.sha256(json.dumps([spec, platform], sort_keys=True).encode()).hexdigest()
    version = f"{origin.version}-{digest[:_HASH]}"
    pipeline = {
        "apiVersion": API_VERSION,
        "kind": "Pipeline",
        "metadata": {
            "name": name,
            "labels": _LABELS,
            "annotations": {"argocd.argoproj.io/sync-wave": "0", "argocd.argoproj.io/sync-options": "Prune=false"},
        },
        "spec": {"displayName": name, "description": words},
    }
    content: dict[str, Any] = {
        "pipelineName": name,
        "versionName": version,
        "displayName": version,
        "description": words,
        "codeSourceURL": origin.url,
        "tags": {"version": origin.version, "content": digest[:_HASH]},
        "pipelineSpec": spec,
    }
    if origin.commit:
        content["tags"]["commit"] = origin.commit
    if platform is not None:
        content["platformSpec"] = platform
    # Prune=false: runs and schedules refer to old versions, which must outlive their file.
    made = {
        "apiVersion": API_VERSION,
        "kind": "PipelineVersion",
        "metadata": {
            "name": f"{name}-{version}",
            "labels": _LABELS,
            "annotations": {"argocd.argoproj.io/sync-wave": "1", "argocd.argoproj.io/sync-options": "Prune=false"},
        },
        "spec": content,
    }
    return pipeline, made


def write(compiled: Path, folder: Path, origin: Origin) -> list[Path]:
    """Write the resources of every compiled pipeline; a version file that is there already stays as it is.

    Version files of other content are kept: in the cluster old versions stay, too. Remove one by hand when no run
    needs it any more.

    Args:
        compiled: Folder of IR YAML files.
        folder: Where `pipelines/`, `versions/` and the kustomization go.
        origin: Version and source.

    Returns:
        The files that the present content stands in: two for each pipeline, then the kustomization.
    """
    files: list[Path] = []
    for path in sorted(compiled.glob("*.yaml")):
        pipeline, version = resources(path.read_text(encoding="utf-8"), origin)
        first = folder / "pipelines" / f"{pipeline['metadata']['name']}.yaml"
        second = folder / "versions" / f"{version['metadata']['name']}.yaml"
        _write(first, pipeline)
        if not second.exists():
            _write(second, version)
        files += [first, second]
    listed = sorted(
        str(path.relative_to(folder)) for part in ("pipelines", "versions") for path in folder.glob(f"{part}/*.yaml")
    )
    index = folder / "kustomization.yaml"
    _write(index, {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": listed})
    return [*files, index]


def missing(compiled: Path, folder: Path, version: str) -> list[str]:
    """Compare the committed resources with the compiled pipelines.

    Args:
        compiled: Folder of IR YAML files.
        folder: Folder written by `write`.
        version: Present package version.

    Returns:
        What is missing or differs; empty when Git holds a version of exactly this content.
    """
    found: list[str] = []
    index = folder / "kustomization.yaml"
    listed = yaml.safe_load(index.read_text(encoding="utf-8"))["resources"] if index.is_file() else []
    for path in sorted(compiled.glob("*.yaml")):
        pipeline, wanted = resources(path.read_text(encoding="utf-8"), Origin(version))
        names = (f"pipelines/{pipeline['metadata']['name']}.yaml", f"versions/{wanted['metadata']['name']}.yaml")
        found += [f"{name} is not in the kustomization" for name in names if name not in listed]
        file = folder / names[1]
        if not file.is_file():
            found.append(f"{names[1]} is missing")
            continue
        present = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
        for part in ("pipelineName", "versionName", "pipelineSpec", "platformSpec"):
            if present.get(part) != wanted["spec"].get(part):
                found.append(f"{names[1]}: {part} is not what its name says")
    return found


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(yaml.safe_dump(content, sort_keys=False, width=4096, allow_unicode=False), encoding="utf-8")
    temporary.replace(path)
