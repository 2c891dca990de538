"""Rows that could not be used: kept, scrubbed, with a reason code and words, so that somebody can repair the log."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flywheel.components.intake.json_text import text_of
from flywheel.components.intake.pseudonyms import Pseudonymizer
from flywheel.components.intake.raw_row import RawRow
from flywheel.components.intake.scrubbed_json import collect, rebuild

KEPT_CHARACTERS = 20_000
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\"\\/bfnrt]))")
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CUT_BACK = 200  # characters; what is cut in half is no longer recognised, so the end of a cut row is dropped


@dataclass(frozen=True)
class Refusal:
    """A bad row; with reason `no_consent` nothing of its content is kept, only the interaction's id in `detail`."""

    raw: RawRow
    reason: str
    detail: str

    def texts(self) -> list[str]:
        """Return the texts to scrub: file label, detail, then the row's content."""
        texts = [self.raw.file, self.detail]
        if self.reason == "no_consent":
            return texts
        if (value := self.raw.fields()) is not None:
            collect(value, texts)
        else:
            texts.append(self._text())
        return texts

    def row(self, run_id: str, scrubbed: Iterator[str], pseudonyms: Pseudonymizer) -> dict[str, Any]:
        """Make the table row from the scrubbed texts."""
        file, detail = next(scrubbed), next(scrubbed)
        if self.reason == "no_consent":
            kept = ""
        elif (value := self.raw.fields()) is not None:
            kept = text_of(rebuild(value, scrubbed))
        else:
            kept = next(scrubbed)
            kept = kept[:-_CUT_BACK] if self._cut() else kept
        content = repr((self.raw.fields(), self.raw.text)).encode("utf-8", "surrogatepass")
        identity = b"\0".join(
            (
                repr((self.raw.file, self.raw.line, *([self.raw.part] if self.raw.part else []), self.reason)).encode(
                    "utf-8", "replace"
                ),
                content,
            )
        )
        return {
            "quarantine_id": pseudonyms.of("quarantine", identity),
            "run_id": run_id,
            "source": file,
            "line": self.raw.line,
            "reason": self.reason,
            "detail": detail,
            "row": kept[:KEPT_CHARACTERS],
        }

    def _text(self) -> str:
        """Return what was read, JSON escapes undone: they hide personal data from any pattern."""
        return unescaped(self.raw.text[:KEPT_CHARACTERS])

    def _cut(self) -> bool:
        return len(self.raw.text) > KEPT_CHARACTERS or self.reason in ("line_too_long", "damaged_file")


def unescaped(text: str) -> str:
    """Undo JSON's escapes in a text that is no JSON."""
    return _ESCAPE.sub(_plain, text)


def _plain(match: re.Match[str]) -> str:
    if match.group(1):
        code = int(match.group(1), 16)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
    return _ESCAPES.get(match.group(2), match.group(2))
