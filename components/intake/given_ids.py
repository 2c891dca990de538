"""Ids that logs and senders give: kept, unless one holds personal data (an address as id)."""

import re
from collections.abc import Iterable

from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.intake.pseudonyms import Pseudonymizer

# Random by construction (RFC 9562), so nobody's telephone number, whatever its digits look like.
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_UUID_LENGTH = 36


def safe_ids(given: Iterable[str], pseudonyms: Pseudonymizer) -> dict[str, str]:
    """Return given id -> id to use: itself, or a pseudonym when it looks like personal data.

    Args:
        given: Ids as they came.
        pseudonyms: The store's keyed hash.
    """
    result = {text: text for text in given}
    suspects = [text for text in result if len(text) != _UUID_LENGTH or not _UUID.fullmatch(text)]
    for text, clean in zip(suspects, scrub_texts(suspects).texts, strict=True):
        if text != clean:
            result[text] = pseudonyms.of("given id", text)
    return result
