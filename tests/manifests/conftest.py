"""Manifests rendered by Kustomize itself (kubectl), and strict schemas of the custom resources."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml

MANIFESTS = Path(__file__).parents[2] / "manifests"
CRDS = Path(__file__).parents[3] / "shared" / "crds"


@cache
def rendered(place: str) -> tuple[dict, ...]:
    kubectl = os.environ.get("KUBECTL") or shutil.which("kubectl")
    if not kubectl:
        pytest.skip("no kubectl: install 1.27 or newer, or set KUBECTL to one (.ci/kubectl brings one)")
    done = subprocess.run(
        [kubectl, "kustomize", str(MANIFESTS / place)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{place} does not render: {done.stderr}"
    return tuple(one for one in yaml.safe_load_all(done.stdout) if one)


@pytest.fixture(scope="session")
def render():
    """Objects of a place, for example `overlays/prod`."""
    return rendered


@pytest.fixture(scope="session")
def pods():
    """Every pod template of some objects, with the kind and name of its owner."""

    def of(objects) -> list[tuple[str, dict]]:
        found = []

        def walk(title, node):
            if isinstance(node, dict):
                if "containers" in node:
                    found.append((title, node))
                for part in node.values():
                    walk(title, part)
            elif isinstance(node, list):
                for part in node:
                    walk(title, part)

        for one in objects:
            walk(f"{one['kind']}/{one['metadata']['name']}", one.get("spec", {}))
        return found

    return of


@pytest.fixture(scope="session")
def crd_schemas():
    """(apiVersion, kind) -> strict JSON Schema of every CRD that is at hand: a field the CRD does not know is an error."""
    if not CRDS.is_dir():
        pytest.skip("no CRDs: put the projects' CRDs as JSON into ../shared/crds")
    found = {}
    for path in sorted(CRDS.glob("*.json")):
        definition = json.loads(path.read_text())["spec"]
        for version in definition["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            for name, kind in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
                schema["properties"][name] = {"type": kind}
            found[f"{definition['group']}/{version['name']}", definition["names"]["kind"]] = schema
    return found


def strict(node: dict) -> dict:
    """Translate OpenAPI v3 of a CRD to JSON Schema and close every object that lists its fields."""
    node = dict(node)
    if node.pop("x-kubernetes-int-or-string", False):
        node["type"] = ["integer", "string"]
    if "properties" in node:
        node["properties"] = {name: strict(part) for name, part in node["properties"].items()}
        if not node.get("x-kubernetes-preserve-unknown-fields") and "additionalProperties" not in node:
            node["additionalProperties"] = False
    for word in ("items", "additionalProperties"):
        if isinstance(node.get(word), dict):
            node[word] = strict(node[word])
    if node.pop("nullable", False) and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]
    node.pop("format", None)
    if "pattern" in node:
        node["pattern"] = re.sub(r"^\^\(\?i\)", "(?i)^", node["pattern"])  # Go allows the flag after the anchor
    return node
