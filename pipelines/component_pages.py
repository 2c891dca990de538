"""The catalogue: what each component takes, gives, needs and promises, written into the README of its room.

Inputs, outputs and errors come from the component and its docstring, limits from the pipeline that uses it, and what no
code says (environment, rights, idempotency) from the room's metadata.yaml under `components`.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from flywheel.pipelines.compile import COMPILED
from flywheel.pipelines.components import ROOT, components

BEGIN = "<!-- components: written by `flywheel catalogue`, do not edit -->"
END = "<!-- /components -->"
_IMAGE = re.compile(r"-(data|training|control):")


def pages(root: Path = ROOT) -> dict[Path, str]:
    """Render the README of every room that has components.

    Args:
        root: Folder of the rooms.

    Returns:
        Path -> whole new content; text outside the markers is kept.

    Raises:
        ValueError: The metadata of a room lacks a component, or names one that is not there.
    """
    rooms: dict[str, list[tuple[str, Any]]] = {}
    for (room, name), component in components().items():
        rooms.setdefault(room, []).append((name, component))
    limits = _limits()
    result = {}
    for room, listed in sorted(rooms.items()):
        metadata = yaml.safe_load((root / room / "metadata.yaml").read_text(encoding="utf-8"))
        known = metadata.get("components") or {}
        names = {name for name, _ in listed}
        if known.keys() != names:
            missing, strange = sorted(names - known.keys()), sorted(known.keys() - names)
            raise ValueError(f"components/{room}/metadata.yaml: components missing {missing}, not there {strange}")
        part = [BEGIN, "## Components", ""]
        for name, component in listed:
            part += _page(room, name, component, known[name], limits.get(component.component_spec.name, {}))
        path = root / room / "README.md"
        text = (
            path.read_text(encoding="utf-8")
            if path.is_file()
            else f"# {room.capitalize()}\n\n{_summary(root / room)}\n"
        )
        result[path] = _placed(text, "\n".join([*part, END]))
    return result


def drifted(root: Path = ROOT) -> list[str]:
    """Name the READMEs whose generated part is not what the code says."""
    return [
        str(path.relative_to(root.parent))
        for path, text in pages(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def write(root: Path = ROOT) -> list[Path]:
    """Write the READMEs; returns their paths."""
    made = pages(root)
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")
    return list(made)


def _page(room: str, name: str, component: Any, facts: dict[str, Any], limits: dict[str, str]) -> list[str]:
    import docstring_parser

    spec = component.component_spec
    words = docstring_parser.parse(component.python_func.__doc__ or "")
    image = _IMAGE.search(spec.implementation.container.image)
    lines = [f"### `{name}`", "", words.short_description or "", ""]
    if words.long_description:
        lines += [words.long_description, ""]
    lines += [f"`from {component.python_func.__module__} import {name}`"]
    lines += [f"or [compiled/{name}.yaml](compiled/{name}.yaml) through `kfp.components.load_component_from_file`.", ""]
    lines += ["| input | type | default | meaning |", "|---|---|---|---|"]
    told = {one.arg_name: one.description or "" for one in words.params}
    for title, one in (spec.inputs or {}).items():
        default = "required" if not one.optional else f"`{one.default!r}`"
        lines.append(f"| `{title}` | {_type(one.type)} | {default} | {_cell(told.get(title, one.description))} |")
    outputs = spec.outputs or {}
    returned = _returned(words)
    if outputs:
        lines += ["", "| output | type | meaning |", "|---|---|---|"]
        for title, one in outputs.items():
            meaning = told.get(title) or returned.get(title) or one.description or ""
            lines.append(f"| `{title}` | {_type(one.type)} | {_cell(meaning)} |")
    lines += [
        "",
        "| | |",
        "|---|---|",
        f"| image | `{image.group(1) if image else spec.implementation.container.image}` |",
    ]
    if limits:
        lines.append(
            f"| limits in our pipelines | {', '.join(f'{key} {value}' for key, value in sorted(limits.items()))} |"
        )
    lines.append(f"| idempotency | {_cell(facts['idempotency'])} |")
    environment = facts.get("environment") or {}
    for variable, meaning in environment.items():
        lines.append(f"| environment | `{variable}`: {_cell(meaning)} |")
    lines.append(f"| rights in the cluster | {_cell(facts.get('rbac', 'none'))} |")
    for one in words.raises:
        lines.append(f"| fails with | `{one.type_name}`: {_cell(one.description)} |")
    return [*lines, ""]


def _returned(words: Any) -> dict[str, str]:
    """Meanings of the outputs: one text, or `name: text` lines for named tuples."""
    text = words.returns.description if words.returns else ""
    if words.returns and words.returns.type_name and not words.returns.is_generator:
        text = f"{words.returns.type_name}: {text}"
    named = dict(re.findall(r"^(\w+): (.+(?:\n    .+)*)$", text or "", re.MULTILINE))
    return {**named, "Output": text or ""}


def _limits() -> dict[str, dict[str, str]]:
    """Component name -> CPU, memory and time limits, from the compiled flywheel and the pipelines beside it."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(COMPILED.glob("*.yaml")):
        spec, *platforms = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        executors = spec["deploymentSpec"]["executors"]
        names = {
            component["executorLabel"]: name.removeprefix("comp-")
            for name, component in spec["components"].items()
            if "executorLabel" in component
        }
        for label, executor in executors.items():
            resources = executor.get("container", {}).get("resources", {})
            limits = {}
            if "resourceCpuLimit" in resources:
                limits["CPU"] = resources["resourceCpuLimit"]
            if "resourceMemoryLimit" in resources:
                limits["memory"] = resources["resourceMemoryLimit"]
            for platform in platforms:
                own = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"].get(label, {})
                if "activeDeadlineSeconds" in own:
                    limits["time"] = f"{int(own['activeDeadlineSeconds']) // 60} min"
            name = re.sub(r"-\d+$", "", names[label])
            found.setdefault(name, limits)
    return found


def _placed(text: str, part: str) -> str:
    if BEGIN in text and END in text:
        before, _, rest = text.partition(BEGIN)
        return before + part + rest.partition(END)[2]
    return text.rstrip("\n") + "\n\n" + part + "\n"


def _summary(room: Path) -> str:
    import ast

    return ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""


def _type(kind: Any) -> str:
    text = str(kind)
    return text.split("@", maxsplit=1)[0].removeprefix("system.") if text.startswith("system.") else text.lower()


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
