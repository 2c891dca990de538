"""Chat shapes: the faults have names, and no value at all makes the checks raise."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.components.validation.chat_shape import answer_fault, blank, prompt_fault, texts


def chat(*roles: str) -> list[dict[str, str]]:
    return [{"role": role, "content": f"text {place}"} for place, role in enumerate(roles)]


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        (chat("user"), "ok"),
        (chat("system", "user", "assistant", "user"), "ok"),
        (chat("user", "assistant", "tool", "user"), "ok"),
        (chat("user", "assistant", "tool", "tool", "assistant", "user"), "ok"),
        (chat("user", "assistant", "assistant", "user"), "roles_do_not_alternate"),
        (None, "not_a_list"),
        ([], "no_messages"),
        ([{"role": "user"}], "bad_message"),
        (chat("narrator"), "unknown_role"),
        (chat("user", "system", "user"), "system_not_first"),
        (chat("user", "user"), "roles_do_not_alternate"),
        (chat("assistant", "user"), "roles_do_not_alternate"),
        (chat("user", "assistant"), "last_is_not_user"),
        (chat("system"), "last_is_not_user"),
    ],
)
def test_prompt_faults(messages: Any, fault: str) -> None:
    assert prompt_fault(messages) == fault


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        (chat("assistant"), "ok"),
        (chat("assistant", "assistant"), "not_one_message"),
        (chat("user"), "not_by_assistant"),
        ([], "no_messages"),
        ("text", "not_a_list"),
    ],
)
def test_answer_faults(messages: Any, fault: str) -> None:
    assert answer_fault(messages) == fault


def test_a_tool_call_without_text_is_not_blank_but_an_empty_question_is() -> None:
    call = [{"role": "user", "content": "weather?"}, {"role": "assistant", "content": ""}]
    assert not blank(call, "user", "system")
    assert blank(call, "assistant")
    assert blank([{"role": "user", "content": " "}], "user")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["role", "content", "x"]), inner),
)


@given(anything)
def test_no_value_makes_them_raise(value: Any) -> None:
    assert isinstance(prompt_fault(value), str)
    assert isinstance(answer_fault(value), str)
    assert isinstance(blank(value, "user"), bool)
    assert all(isinstance(text, str) for text in texts(value))
