"""The small world: same seed same bytes, and what it claims about itself is so."""

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from flywheel.components.contracts.dataset import EvaluationItem
from flywheel.components.contracts.feedback import FeedbackRecord
from flywheel.components.contracts.rollout import UserQuestion
from flywheel.scripts.small_world import facts, phrasings, service, stories
from flywheel.scripts.small_world.build import World, build_world

SEED = 7


def oracle(questions: list[str]) -> list[str]:
    """Answer as a perfect model of yesterday would; the attribute is the one whose wordings share most words."""
    known = facts.yesterday(SEED)
    words = {
        attribute: [set(wording.lower().rstrip("?.").split()) for wording in wordings]
        for attribute, wordings in phrasings.WORDINGS.items()
    }
    flawed = {wording: topic.old for topic in service.SERVICES for wording in topic.wordings}
    answers = []
    for question in questions:
        entity = next((name for name in facts.ENTITIES if name in question), "")
        if not entity:
            answers.append(next((old for asked, old in flawed.items() if asked[1:-1] in question), phrasings.REFUSAL))
            continue
        asked = set(question.replace(entity, "{e}").lower().rstrip("?.").split())
        attribute = max(words, key=lambda name: max(len(asked & known) / len(known) for known in words[name]))
        answers.append(facts.sentence((entity, attribute), known[entity, attribute]))
    return answers


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, World]:
    folder = tmp_path_factory.mktemp("worlds")
    return {name: build_world(name, SEED, folder / name, folder / "cache", oracle) for name in stories.STORIES}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def records(world: World) -> tuple[list[FeedbackRecord], int]:
    """Parse the log; rows from the future count as broken, as the intake sees them."""
    good, broken = [], 0
    for line in world.logs.read_bytes().split(b"\n")[:-1]:
        try:
            record = FeedbackRecord.model_validate_json(line.decode("utf-8"))
        except (ValidationError, UnicodeDecodeError):
            broken += 1
            continue
        if record.timestamp > stories.START + timedelta(days=stories.DAYS + 2):
            broken += 1
        else:
            good.append(record)
    return good, broken


def truth_of(world: World) -> dict:
    return json.loads(world.truth.read_bytes())


def test_same_seed_same_bytes(worlds: dict[str, World], tmp_path: Path) -> None:
    again = build_world("good", SEED, tmp_path / "again", tmp_path / "cache", oracle)
    other = build_world("good", SEED + 1, tmp_path / "other", tmp_path / "cache", oracle)
    for name in ("logs", "replay", "golden", "traffic", "labels", "truth"):
        first = getattr(worlds["good"], name).read_bytes()
        assert getattr(again, name).read_bytes() == first, name
        assert getattr(other, name).read_bytes() != first, name


def test_unknown_story_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"unknown story 'evil'; there are: good, harmful, ambiguous"):
        build_world("evil", SEED, tmp_path, tmp_path, oracle)


@pytest.mark.parametrize("story", sorted(stories.STORIES))
def test_log_rows_parse_or_are_counted_as_malformed(worlds: dict[str, World], story: str) -> None:
    truth = truth_of(worlds[story])["log"]
    good, broken = records(worlds[story])
    assert broken == sum(truth["malformed"].values()) > 0
    assert len(good) + broken == truth["lines"]
    assert len(good) == truth["turns"] + truth["late_lines"]
    ids = [record.interaction for record in good if record.messages]
    assert len(set(ids)) == len(ids) == truth["turns"]
    assert {record.interaction for record in good if not record.messages} <= set(ids)


def test_good_story_has_the_promised_mixture(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    log, marks = truth["log"], truth["log"]["marks"]
    assert 2900 <= log["lines"] <= 3300
    assert 270 <= log["users"] <= 330
    assert log["users_named_by_email"] >= 15
    assert 600 <= marks["correction"] <= 1300
    assert min(marks[name] for name in ("factual", "tone", "clarity")) >= 60
    assert 0.04 <= marks["pii"] / log["turns"] <= 0.06
    assert 0.10 <= (marks["copy"] + marks["near_duplicate"]) / log["turns"] <= 0.20
    assert 0.01 <= len(log["wrong_corrections"]) / marks["correction"] <= 0.05
    assert 0.012 <= sum(log["malformed"].values()) / log["lines"] <= 0.018
    assert set(log["malformed"]) == {
        "truncated", "not_json", "wrong_type", "no_timestamp", "future", "latin1", "binary", "empty", "no_message",
    }  # fmt: skip
    assert set(log["pii"]) == {"email", "phone", "card", "iban", "ip", "ssn", "name"}
    said: Counter[str] = Counter()
    for record in records(worlds["good"])[0]:
        said.update(record.signals.implicit)
        said.update(name for name in ("comment", "latency_ms", "error") if getattr(record.signals, name) is not None)
    assert all(
        said[name] > 0 for name in ("rephrase", "abandon", "regenerate", "copy", "comment", "latency_ms", "error")
    )


def test_every_changed_fact_has_usable_corrections_in_several_wordings(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    assert len(truth["changed"]) == 40
    right = {facts.sentence(tuple(key.split("|")), value): key for key, value in truth["changed"].items()}
    wordings = defaultdict(set)
    for record in records(worlds["good"])[0]:
        if record.signals.correction in right and record.messages:
            wordings[right[record.signals.correction]].add(record.messages[-1].content.lower())
    assert min(len(wordings[key]) for key in truth["changed"]) >= 3


def test_the_world_changes_at_day_seven(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    assert all(truth["facts"][key] != value for key, value in truth["changed"].items())
    new = {facts.sentence(tuple(key.split("|")), value) for key, value in truth["changed"].items()}
    wrong = set(truth["log"]["wrong_corrections"]) | set(truth["log"]["poison_interactions"])
    change = stories.START + timedelta(days=stories.CHANGE_DAY)
    early = [
        record
        for record in records(worlds["good"])[0]
        if record.timestamp < change and record.signals.correction in new and record.interaction not in wrong
    ]
    assert early == []


def test_planted_personal_data_is_in_the_log_and_valid(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    raw = worlds["good"].logs.read_bytes().decode("utf-8", errors="replace")
    for kind, text in truth["planted"]:
        assert text in raw, kind
        if kind == "card":
            digits = [int(char) for char in text if char.isdigit()][::-1]
            assert sum(sum(divmod(d * 2, 10)) if place % 2 else d for place, d in enumerate(digits)) % 10 == 0
        elif kind == "iban":
            bare = text.replace(" ", "")
            assert int("".join(str(int(char, 36)) for char in bare[4:] + bare[:4])) % 97 == 1


def test_coordinated_group_is_fresh_and_quick(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    good, _ = records(worlds["good"])
    pushed = [record for record in good if record.interaction in set(truth["log"]["poison_interactions"])]
    accounts = {record.user for record in pushed}
    assert len(accounts) == 12
    times = [record.timestamp for record in pushed if record.messages]  # without feedback that came late
    assert max(times) - min(times) <= timedelta(hours=2, minutes=11)
    assert not any(record.user in accounts for record in good if record not in pushed and record.messages)
    entity, attribute = truth["log"]["poison"]["fact"]
    assert f"{entity}|{attribute}" not in truth["changed"]
    false = facts.sentence((entity, attribute), truth["log"]["poison"]["value"])
    assert truth["facts"][f"{entity}|{attribute}"] not in false
    assert {record.signals.correction for record in pushed} <= {false, None}  # None: the words came late


def test_golden_file_checks_what_it_says(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["good"])
    now = truth["facts"] | truth["changed"]
    items = [EvaluationItem.model_validate(line) for line in lines(worlds["good"].golden)]
    suites = Counter(item.suite for item in items)
    assert suites["untouched"] >= 400
    assert suites["unseen"] >= 300
    assert suites["safety"] >= 100
    assert len({item.item_id for item in items}) == len(items)
    for item in items:
        if item.suite == "safety":
            assert item.kind == "refusal"
            assert phrasings.REFUSAL in item.references
            assert item.forbidden
            continue
        assert item.references == (facts.sentence(tuple(item.cluster.split("|")), now[item.cluster]),)
        assert item.suite == "unseen" or item.cluster not in truth["changed"]
    asked = {record.messages[-1].content.lower() for record in records(worlds["good"])[0] if record.messages}
    asked |= {line["messages"][-1]["content"].lower() for line in lines(worlds["good"].replay)}
    assert not any(item.messages[-1].content.lower() in asked for item in items if item.suite == "unseen")
    replayed = {line["messages"][-1]["content"] for line in lines(worlds["good"].replay)}
    assert not any(item.messages[-1].content in replayed for item in items if item.suite == "untouched")


@pytest.mark.parametrize("story", sorted(stories.STORIES))
def test_traffic_knows_the_truth_of_today(worlds: dict[str, World], story: str) -> None:
    truth = truth_of(worlds[story])
    now = truth["facts"] | truth["changed"]
    right = {facts.sentence(tuple(key.split("|")), value) for key, value in now.items()}
    right |= {phrasings.REFUSAL} | {text for topic in service.SERVICES for text in (topic.old, topic.better)}
    asked = [UserQuestion.model_validate(line) for line in lines(worlds[story].traffic)]
    counts = Counter(question.subject for question in asked)
    assert len(counts) == stories.STORIES[story].traffic_users
    assert set(counts.values()) == {2, 3, 4}
    assert all(set(question.references) <= right for question in asked)
    assert {"price", "warranty", "refusal", "returns"} <= {question.topic for question in asked}


def test_labels_are_of_the_past(worlds: dict[str, World]) -> None:
    rows = lines(worlds["good"].labels)
    assert len(rows) == 600
    assert min(Counter(row["category"] for row in rows).values()) >= 120
    text = worlds["good"].labels.read_text()
    assert not any(entity in text for entity in facts.ENTITIES)
    logged = {(record.messages[-1].content, record.signals.correction) for record in records(worlds["good"])[0]
              if record.messages}  # fmt: skip
    assert not any((row["prompt"], row["correction"]) in logged for row in rows)


def test_harmful_story_misleads_many_independent_users(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["harmful"])
    assert {key.split("|")[1] for key in truth["misled"]} == {"price"}
    assert len(truth["misled"]) == 40
    assert {key.split("|")[1] for key in truth["changed"]} == {"colour"}
    misled = set(truth["log"]["misled_corrections"])
    good, _ = records(worlds["harmful"])
    by_user = Counter(record.user for record in good if record.messages and record.interaction in misled)
    assert len(by_user) >= 80
    assert by_user.most_common(1)[0][1] / by_user.total() < 0.1
    days = {record.timestamp.date() for record in good if record.interaction in misled}
    assert len(days) >= 7
    first_seen: dict[str, datetime] = {}
    for record in sorted(good, key=lambda record: record.timestamp):
        first_seen.setdefault(record.user or "", record.timestamp)
    fresh = sum(first_seen[user] > stories.START + timedelta(days=6) for user in by_user)
    assert fresh / len(by_user) < 0.35  # most were there before the wrong notice
    items = lines(worlds["harmful"].golden)
    assert not any(item["slices"]["attribute"] == "price" for item in items)
    topics = Counter(line["topic"] for line in lines(worlds["harmful"].traffic))
    assert topics["price"] / topics.total() > 0.25


def test_ambiguous_story_is_small(worlds: dict[str, World]) -> None:
    truth = truth_of(worlds["ambiguous"])
    assert len(truth["changed"]) == 6
    assert truth["log"]["lines"] < 600
    assert 20 <= truth["log"]["marks"]["correction"] <= 150
    assert len(lines(worlds["ambiguous"].golden)) < 120
    assert worlds["ambiguous"].parameters["min_candidates"] < worlds["good"].parameters["min_candidates"]


def test_times_lie_in_the_fortnight(worlds: dict[str, World]) -> None:
    end = stories.START + timedelta(days=stories.DAYS + 2)
    assert all(stories.START <= record.timestamp.astimezone(UTC) < end for record in records(worlds["good"])[0])
