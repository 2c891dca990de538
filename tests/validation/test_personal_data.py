"""The contract's own patterns: what must be found, and what looks alike and must not stop training."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.validation.personal_data import flag, kinds, mask


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("write to jane.doe@example.org please", "email"),
        ("call +49 170 1234567", "phone"),
        ("call (555) 234-5678", "phone"),
        ("card 4111 1111 1111 1111", "card"),
        ("IBAN DE89 3704 0044 0532 0130 00", "iban"),
        ("my ssn is 536-22-1234", "ssn"),
        ("from 93.184.216.34", "ip"),
    ],
)
def test_found_and_masked(text: str, kind: str) -> None:
    assert kinds(text) == [kind]
    assert flag("fine", None, text) == kind
    assert kinds(mask(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "order 4111 1111 1111 1112 was sent",
        "version 1.2.3.4.5 of the tool, or 10.0.0.1 at home",
        "it costs 1299 euros on 2026-03-01 at 12:30:45",
        "[EMAIL] and <PHONE_1> were scrubbed",
        "serial 0000 0000 0000 0000",
        "write @me or a@b",
        "item 12-345-6789, model GB29-A",
        "part 142-541-7426, ref 422.953.1514, range 100.200-3000",
        "ISBN 978-3-16-148410-0 and tracking 1771516204661",
    ],
)
def test_lookalikes_are_left_alone(text: str) -> None:
    assert flag(text) == "none"


@given(st.text())
def test_masking_never_raises_and_leaves_clean_text_alone(text: str) -> None:
    assert (mask(text) == text) == (flag(text) == "none")


@given(st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}@[a-z]{2,10}\.(com|de|org)", fullmatch=True), st.text(max_size=20))
def test_an_address_in_any_surroundings_is_found(address: str, around: str) -> None:
    assert "email" in kinds(f"{around} {address} {around}")


def test_what_intake_leaves_of_numbers_that_look_alike_does_not_stop_training() -> None:
    """Intake replaces what is personal; of the lookalikes that it rightly leaves, next to none may be flagged here."""
    import random

    from flywheel.components.intake.privacy.scrub import scrub_texts

    draw = random.Random(3)

    def digits(count: int) -> str:
        return "".join(draw.choices("0123456789", k=count))

    forms = (
        lambda: f"tracking {digits(draw.randint(13, 19))}",
        lambda: f"code {digits(4)}-{digits(4)}-{digits(4)}-{digits(4)}",
        lambda: f"part {digits(3)}-{digits(3)}-{digits(4)}",
        lambda: f"version {digits(1)}.{digits(2)}.{digits(1)}.{digits(2)}",
        lambda: f"ISBN 978-3-{digits(2)}-{digits(6)}-{digits(1)}",
        lambda: f"{digits(3)} + {digits(6)} = {digits(7)}",
    )
    texts = [form() for form in forms for _ in range(200)]
    flagged = [text for text in scrub_texts(texts).texts if kinds(text)]
    assert flagged == []
