r"""A chat template for a base model whose tokenizer has none.

Plain text, no special tokens besides the tokenizer's own begin and end, so it works with any vocabulary:

    <bos>### user\nWhat is ...?\n### assistant\nIt is ...<eos>\n

The end token after each assistant turn is what teaches the model to stop.
"""

from typing import Any

PLAIN = (
    "{{ bos_token if bos_token else '' }}"
    "{% for message in messages %}"
    "{{ '### ' + message['role'] + '\\n' + message['content'] | trim }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}"
    "{{ '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '### assistant\\n' }}{% endif %}"
)


def ensure_chat_template(tokenizer: Any) -> str:
    """Give a tokenizer the plain template when it has none.

    Args:
        tokenizer: A transformers tokenizer; changed in place.

    Returns:
        "" when the tokenizer has a template of its own, otherwise a sentence that says what was done.

    Raises:
        ValueError: The tokenizer has no end-of-text token, so no answer could be taught to end.
    """
    if tokenizer.eos_token is None:
        raise ValueError(
            "the tokenizer has no eos_token: the model could not be taught where an answer ends; "
            "set eos_token in tokenizer_config.json of the base model"
        )
    if tokenizer.chat_template:
        return ""
    tokenizer.chat_template = PLAIN
    return "the base tokenizer has no chat template: the plain one was used (### role, text, end token) and saved"
