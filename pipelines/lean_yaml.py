"""Compiled YAML without what no run reads: the docstrings inside each step's source, and the escapes around it.

A pipeline's spec travels in every run and is limited to about 256 KiB by the service; our docstrings are much of it.
They stay in the package; a pipeline's own inputs and outputs keep their descriptions, the parts inside it do not
repeat theirs. Source is written as a block, as a person would, so that Git shows a changed line as one line.
"""

import ast
from pathlib import Path
from typing import Any

import yaml

_SOURCE = "\nimport kfp\n"  # how KFP begins the source of a lightweight component


class _Dumper(yaml.SafeDumper):
    """SafeDumper that writes text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def slim(path: Path) -> None:
    """Rewrite a compiled pipeline or component in place; again changes nothing.

    Args:
        path: YAML file written by KFP's compiler.
    """
    text = path.read_text(encoding="utf-8")
    heading = [line for line in text.splitlines() if line.startswith("#")]
    documents = list(yaml.safe_load_all(text))
    for executor in documents[0].get("deploymentSpec", {}).get("executors", {}).values():
        command = executor.get("container", {}).get("command", [])
        for place, word in enumerate(command):
            if word.startswith(_SOURCE):
                command[place] = without_docstrings(word)
    if len(documents[0].get("components", {})) > 1:
        for part in documents[0]["components"].values():
            _drop_descriptions(part)
    body = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=True, width=120, allow_unicode=False)
    path.write_text("\n".join([*heading, body]), encoding="utf-8")


def _drop_descriptions(part: dict[str, Any]) -> None:
    for side in ("inputDefinitions", "outputDefinitions"):
        for group in part.get(side, {}).values():
            for one in group.values():
                one.pop("description", None)


def without_docstrings(source: str) -> str:
    """Cut the docstrings of functions out of Python source; everything else stays, character by character.

    Args:
        source: Python source.

    Returns:
        The source without them; a function that held nothing else keeps a `pass`.
    """
    lines = source.splitlines(keepends=True)
    cuts: list[tuple[int, int, str]] = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or ast.get_docstring(node) is None:
            continue
        first: Any = node.body[0]
        alone = len(node.body) == 1
        cuts.append((first.lineno - 1, first.end_lineno, " " * first.col_offset + "pass\n" if alone else ""))
    for start, end, instead in sorted(cuts, reverse=True):
        lines[start:end] = [instead]
    return "".join(line.rstrip() + "\n" if line.endswith("\n") else line for line in lines)
