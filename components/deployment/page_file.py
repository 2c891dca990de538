"""Pages of this room for people: one self-contained HTML file, written whole."""

from collections.abc import Sequence
from pathlib import Path


def page(title: str, style: str, parts: Sequence[str]) -> str:
    """Put the parts of a page, HTML already, under a title and a style sheet."""
    return (
        '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
        f"<title>{title}</title><style>{style}</style>" + "".join(parts) + "</html>\n"
    )


def write_page(html: str, path: str | Path) -> None:
    """Write a page so that a reader sees the old one or the whole new one."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    temporary.write_text(html, encoding="utf-8")
    temporary.replace(target)
