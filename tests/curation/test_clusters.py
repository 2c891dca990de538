import random
from datetime import timedelta

import numpy as np
import pytest

from flywheel.components.curation.clustering import cluster_names, cluster_page, clusters, partition, shares, summary
from flywheel.components.curation.clustering.exchanges import Exchanges, exchanges_of
from flywheel.components.curation.clustering.points import Case
from flywheel.components.curation.clustering.trend import Events, microseconds
from flywheel.components.curation.clustering.users import NOBODY, Users
from tests.curation.conftest import START

NAMES = ("Borel", "Tamrin", "Osvald", "Quenby", "Lirando", "Zephim", "Galdor", "Mirova")
TOPICS = {
    "warranty": [
        "How long is the warranty of the {n}?",
        "What warranty does the {n} have?",
        "Is the {n} under warranty?",
    ],
    "parcel": ["Where is my parcel with the {n}?", "My parcel of the {n} is late.", "When does the {n} parcel arrive?"],
    "battery": ["How long does the {n} battery last?", "The battery of the {n} is weak.", "Which battery has the {n}?"],
}


def exchanges(seed: int, each: int = 30, topics: tuple[str, ...] = tuple(TOPICS)) -> list[Case]:
    dice = random.Random(seed)
    return [
        Case(
            dice.choice(TOPICS[topic]).format(n=f"{dice.choice(NAMES)} {dice.randrange(10)}"),
            f"The {topic} is fine.",
            f"u{dice.randrange(30)}",
            START + timedelta(hours=dice.randrange(24 * 21)),
        )
        for topic in topics
        for _ in range(each)
    ]


def topic_of(case: Case) -> str:
    return next(topic for topic in TOPICS if topic in case.question)


@pytest.mark.parametrize("method", partition.METHODS)
def test_topics_are_found_named_and_counted(method):
    cases = exchanges(1)
    found = clusters.cluster(cases, method=method)
    assert sum(cluster.count for cluster in found.clusters) == len(cases)
    for topic in TOPICS:
        homes = {index for index, case in zip(found.of_case, cases, strict=True) if topic_of(case) == topic}
        others = {index for index, case in zip(found.of_case, cases, strict=True) if topic_of(case) != topic}
        named = {index for index in homes if found.clusters[index].name != clusters.OUTSIDE}
        assert named
        assert not named & others
        assert all(topic in found.clusters[index].name for index in named)
    sizes = [cluster.count for cluster in found.clusters if cluster.name != clusters.OUTSIDE]
    assert sizes == sorted(sizes, reverse=True)
    assert [cluster.id for cluster in found.clusters][:2] == ["c01", "c02"]
    assert found.stability is not None
    assert 0.8 < found.stability.lower <= found.stability.ari <= found.stability.upper <= 1


def test_the_order_of_the_cases_does_not_matter_and_the_same_input_gives_the_same_bytes():
    cases = exchanges(3)
    order = list(range(len(cases)))
    random.Random(1).shuffle(order)
    plain, again = clusters.cluster(cases), clusters.cluster(cases)
    mixed = clusters.cluster([cases[i] for i in order])
    assert plain.clusters == again.clusters == mixed.clusters
    assert plain.roster.to_json() == again.roster.to_json() == mixed.roster.to_json()
    assert [plain.of_case[i] for i in order] == mixed.of_case
    assert plain.stability == mixed.stability


def test_nothing_and_little():
    assert clusters.cluster([]).clusters == []
    one = clusters.cluster([Case("Where is it?", "There.")])
    assert [(c.id, c.count, c.share) for c in one.clusters] == [("c01", 1, 1.0)]
    assert one.stability is None
    empty = clusters.cluster([Case("", "")] * 20)
    assert [c.name for c in empty.clusters] == ["other"]
    apart = [Case(f"{word} {word}{word}", "") for word in "abcdefghijkl"]
    assert sum(c.count for c in clusters.cluster(apart).clusters) == 12


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="'ward' is none of kmeans, hdbscan"):
        clusters.cluster(exchanges(1), method="ward")
    with pytest.raises(ValueError, match="'bert' is none of"):
        clusters.cluster(exchanges(1), encoder="bert")


def test_successes_join_a_cluster_only_when_they_are_near():
    found = clusters.cluster(exchanges(1))
    others = [exchanges(2, 1)[0], Case("Kann ich meinen Vertrag kündigen?", "Ja, jederzeit.")]
    near, far = found.place(exchanges_of(others))
    assert "warranty" in found.clusters[near].name
    assert far == -1
    assert found.place(exchanges_of([])) == []


def test_more_texts_than_are_fitted_are_all_placed(monkeypatch):
    cases = exchanges(1, 60)
    whole = clusters.cluster(cases)
    monkeypatch.setattr("flywheel.components.curation.clustering.points.FIT", 60)
    part = clusters.cluster(cases)
    assert sum(c.count for c in part.clusters) == len(cases)
    homes = {(topic_of(case), part.clusters[home].name) for case, home in zip(cases, part.of_case, strict=True)}
    assert all(topic in name for topic, name in homes)
    assert {c.name for c in part.clusters} == {c.name for c in whole.clusters}


def test_hdbscan_leaves_outliers_in_no_cluster():
    odd = [Case(f"zq{word} xv{word}", f"kj{word}") for word in ("alpha", "beta", "gamma", "delta")]
    found = clusters.cluster([*exchanges(1), *odd], method="hdbscan")
    assert (found.clusters[-1].id, found.clusters[-1].name) == ("c00", clusters.OUTSIDE)
    assert all(found.clusters[home].id == "c00" for home in found.of_case[-4:])
    assert "c00" not in {member.id for member in found.roster.members}


@pytest.mark.parametrize("k", [2, 5, 8, 20])
def test_the_first_peak_is_the_number_of_clear_groups(k):
    random_numbers = np.random.default_rng(k)
    centres = np.linalg.qr(random_numbers.normal(size=(24, 24)))[0][:k]
    points = np.repeat(centres, 20, axis=0) + random_numbers.normal(scale=0.08, size=(20 * k, 24))
    tried = [one for size in partition.CHOICES for one in partition._scored(points, partition._kmeans(points, size, 1))]
    assert partition._first_peak(tried)[2] == k


def test_names_are_unique_readable_and_free_of_placeholders():
    cases = [
        Case("Call [PHONE_1] about the warranties, [NAME_2]", "The warranties last two years."),
        Case("Call [PHONE_2] about the warranty", "The warranty lasts two years."),
        Case("When do batteries and battery packs arrive? [ADDRESS_1]", "Batteries arrive on Monday."),
    ]
    top = cluster_names.weigh(exchanges_of(cases), np.array([0, 0, 1])).top
    assert not {"phone", "name", "address", "1", "2"} & {word for words in top.values() for word in words}
    assert all(not a.startswith(b) for words in top.values() for a in words for b in words if a != b and len(b) > 3)
    same = cluster_names.Vocabulary({0: ["a", "b", "c", "d"], 1: ["a", "b", "c", "e"], 2: ["a", "b", "c"], 3: []})
    assert cluster_names.name(same, [0, 1, 2, 3], {}) == {0: "a, b, c", 1: "a, b, c, e", 2: "a, b, c (2)", 3: "other"}
    kept = cluster_names.name(same, [1, 0, 2, 3], {0: "b, d, a", 1: "a, q, c"})
    assert (kept[0], kept[1]) == ("b, d, a", "a, b, c")


def test_c_tf_idf_is_berts():
    """One word in the only cluster that has it against one that all share: eq. 2 of arXiv:2203.05794 by hand."""
    cases = [Case(f"{own} shared", "") for own in ("apple", "berry")]
    words = cluster_names.weigh(exchanges_of(cases), np.array([0, 1])).top
    rare, common = 1 / 2 * np.log(1 + 2 / 1), 1 / 2 * np.log(1 + 2 / 2)
    assert rare > common
    assert words == {0: ["apple", "shared"], 1: ["berry", "shared"]}


def test_the_users_not_the_cases_make_an_interval_narrow():
    counts, number = np.array([True, False] * 50), np.arange(100)
    many = shares.share(counts, number)
    few = shares.share(counts, number // 2 % 2 + 2 * (number % 2))
    assert shares.share(counts, np.full(100, NOBODY)) == many
    assert (many.count, many.of, many.share) == (50, 100, 0.5)
    assert 0.39 < many.lower < 0.41
    assert 0.59 < many.upper < 0.61
    assert few.upper - few.lower > 2 * (many.upper - many.lower)
    assert shares.share(counts[:0], number[:0]).upper == 1.0
    assert shares.share(np.ones(9, bool), np.zeros(9, int)).lower == 0.0


def describe(cases, liked, accepted=lambda number: True, **more):
    users = Users()
    wrong, pleased = Exchanges("hashed", users), Exchanges("hashed", users)
    failures = summary.Failures(wrong)
    for start in range(0, len(cases), 40):
        numbers = range(start, min(start + 40, len(cases)))
        failures.add(
            [cases[number] for number in numbers],
            [("factual", "tone")[number % 2] for number in numbers],
            [accepted(number) for number in numbers],
            [[(cases[number].user, cases[number].at)] for number in numbers],
        )
    pleased.add(liked)
    found, good = clusters.cluster(wrong), clusters.cluster(pleased, prefix="s")
    asked = [*cases, *liked]
    numbers = users.ranks(users.numbers(case.user for case in asked))
    times = Events(numbers, np.array(microseconds(case.at for case in asked), np.int64))
    said = summary.describe(found, failures, good, pleased, times, thin_below=10)
    return said | {"encoder": "hashed", "method": "kmeans", "previous_run": ""} | more


def test_failures_and_successes_are_described():
    cases = exchanges(1)
    said = describe(cases, exchanges(2, 20, ("parcel", "battery")), lambda number: number < 35)
    by_topic = {topic: next(one for one in said["clusters"] if topic in one["name"]) for topic in TOPICS}
    assert [by_topic[topic]["successes"] for topic in TOPICS] == [0, 20, 20]
    assert by_topic["warranty"]["failure_share"]["share"] == 1.0
    assert by_topic["parcel"]["failure_share"]["lower"] < 0.6 < by_topic["parcel"]["failure_share"]["upper"]
    assert [(by_topic[topic]["accepted"], by_topic[topic]["thin"]) for topic in TOPICS] == [
        (30, False), (5, True), (0, True)]  # fmt: skip
    assert {one["id"][0] for one in said["liked_clusters"]} == {"s"}
    assert sum(one["count"] for one in said["liked_clusters"]) == said["successes"] == 40
    assert said["error_types"] == {"factual": 45, "tone": 45}
    assert said["error_type_shares"]["tone"]["lower"] < 0.5 < said["error_type_shares"]["tone"]["upper"]


def test_the_page_shows_all_of_it_and_escapes_what_users_wrote():
    said = describe(exchanges(1), exchanges(2, 20, ("parcel",)))
    said["clusters"][0] |= {"examples": ["<script>*x*\n|"], "name": "a|b"}
    said["clusters"][0]["trend"]["call"] = "growing"
    page = cluster_page.render(said)
    assert "<script>" not in page
    assert "a\\|b" in page
    assert "**Growing: a\\|b.**" in page
    for heading in ("## What went wrong", "## What users like", "adjusted Rand index of", "at most 5%", "silhouette"):
        assert heading in page
    assert all(one["id"] in page for one in [*said["clusters"], *said["liked_clusters"]])
    assert "Against run" not in page
    nothing = cluster_page.render(describe([], []))
    assert "No failed interaction" in nothing
    assert "No up-voted interaction" in nothing
