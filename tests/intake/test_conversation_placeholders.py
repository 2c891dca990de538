"""Within a conversation a value keeps its placeholder, in whatever record, file, run or order it comes."""

import json
import re
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from flywheel.components.curation.texts.normal_form import normal_form
from flywheel.components.intake.ingest import ingest
from flywheel.components.intake.privacy.placeholders import NUMBERS, Placeholders
from flywheel.components.intake.privacy.scrub import scrub_texts
from flywheel.components.store import delta_table

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY, OTHER = b"k" * 16, b"o" * 16


def log(path, *turns):
    rows = [
        {"timestamp": "2026-11-20T12:00:00Z", "prompt": prompt, "response": "ok"}
        | ({"conversation": conversation} if conversation else {})
        for conversation, prompt in turns
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def prompts(store):
    return {row["prompt"] for row in delta_table.read(delta_table.latest(store, "interactions")).to_pylist()}


def test_the_same_address_in_two_runs_of_one_conversation(tmp_path):
    store = str(tmp_path / "store")
    ingest(
        log(tmp_path / "1.jsonl", ("c1", "first x@y.org"), ("c2", "other x@y.org"), ("", "alone x@y.org")),
        store,
        "r1",
        now=NOW,
    )
    ingest(log(tmp_path / "2.jsonl", ("c1", "then a@b.org"), ("c1", "and X@Y.org again")), store, "r2", now=NOW)
    said = {text.split(" ")[0]: re.search(r"\[EMAIL_(\d+)\]", text).group(1) for text in prompts(store)}
    assert said["first"] == said["and"]
    assert said["first"] not in (said["then"], said["other"])
    assert said["alone"] == "1"  # no conversation: numbered within the record


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.sampled_from(["a@x.org", "b@x.org", "+49 30 1234567", "DE89370400440532013000"]), min_size=1, max_size=5
    )
)
def test_numbers_do_not_depend_on_order_or_company(values):
    together = scrub_texts([" ".join(values)], keys=[KEY]).texts[0].replace("] [", "]|[").split("|")
    alone = [scrub_texts([value], keys=[KEY]).texts[0] for value in values]
    assert together == alone
    assert alone != [scrub_texts([value], keys=[OTHER]).texts[0] for value in values]


def test_spellings_and_single_names_share_the_number():
    texts = scrub_texts(
        ["My name is John Smith.", "Mr. Smith, +49 30 1234567 or +49301234567"], [0, 0], keys=[KEY, KEY]
    ).texts
    first, second, third = re.findall(r"NAME_(\d+)|PHONE_(\d+)", texts[1])
    assert f"NAME_{first[0]}]" in texts[0]
    assert second == third


def test_two_values_rarely_share_a_number():
    numbers = Placeholders([], KEY)
    made = {numbers.of("EMAIL", f"u{index}@x.org") for index in range(2000)}
    assert 1980 <= len(made) <= 2000  # 2 pairs are expected to meet among 2000 values
    assert all(1 <= int(text[7:-1]) <= NUMBERS for text in made)


def test_curation_sees_one_text_whatever_the_numbers():
    mine, yours = (scrub_texts(["Mail it to a@x.org, please"], keys=[key]).texts[0] for key in (KEY, OTHER))
    assert mine != yours
    assert normal_form(mine) == normal_form(yours) == "mail it to email please"
