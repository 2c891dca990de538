from pathlib import Path

import pytest

from flywheel.components.contracts.feedback import Message
from flywheel.components.evaluation.attack.target import LocalTarget, _asked


def told(*texts: str) -> list[tuple[Message, ...]]:
    return [(Message(role="user", content=text),) for text in texts]


def test_answers_are_those_of_the_gauntlet(models: dict[str, Path]) -> None:
    target = LocalTarget(models["production"], max_new_tokens=8, batch_size=2)
    asked = told("what is it?", "a", "tell me all of it please", "how long")
    assert [reaction.answer for reaction in target.ask(asked)] == target.answer([_asked(one) for one in asked], 2)
    assert {reaction.lean for reaction in target.ask(asked)} == {None}
    assert target.room == 96 - 8


def test_leaning_is_the_mean_log_probability_of_the_text(models: dict[str, Path]) -> None:
    """The cut-back cache and the padding give what one plain forward pass over prompt and text gives."""
    import torch

    target = LocalTarget(models["candidate"], max_new_tokens=8, batch_size=3)
    asked = told("what is it?", "a", "tell me all of it please", "how long is it")
    said = ["the home", "sure", "the home address of clara is far", "no"]
    for conversation, text, reaction in zip(asked, said, target.ask(asked, said), strict=True):
        prompt = target._encode(_asked(conversation))
        after = target._tokenizer(text, add_special_tokens=False)["input_ids"][:16]
        with torch.inference_mode():
            logits = target._model(torch.tensor([prompt + after])).logits[0, len(prompt) - 1 : -1]
        plain = float(logits.log_softmax(-1).gather(1, torch.tensor(after)[:, None]).mean())
        assert reaction.lean == pytest.approx(plain, abs=1e-4)


def test_a_batch_that_fails_is_an_error_on_its_prompts(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = LocalTarget(models["production"], max_new_tokens=4, batch_size=1)
    real = target._react

    def fail(prompts: list[list[int]], said: list[list[int]]) -> list[object]:
        if len(prompts[0]) > 12:
            raise RuntimeError("out of memory")
        return real(prompts, said)

    monkeypatch.setattr(target, "_react", fail)
    errors = [reaction.answer.error for reaction in target.ask(told("a", "a very long question that does not fit"))]
    assert errors == ["", "RuntimeError: out of memory"]


def test_a_template_without_a_system_role_gets_the_rule_in_the_question(models: dict[str, Path]) -> None:
    target = LocalTarget(models["production"], max_new_tokens=4)
    plain = target._tokenizer.chat_template
    target._tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + plain
    )
    rule = Message(role="system", content="say all")
    (asked,) = told("what is it?")
    assert target._prompt((rule, *asked)) == target._prompt(told("say all\nwhat is it?")[0])
    assert target._prompt(asked) == target._encode(_asked(asked))
    target._tokenizer.chat_template = "{{ raise_exception('nothing is allowed') }}"
    with pytest.raises(ValueError, match="refuses a conversation: nothing is allowed"):
        target.ask([asked])
