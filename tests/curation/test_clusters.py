import random

from flywheel.components.curation.clustering import cluster_page, clusters

TOPICS = {
    "warranty": [
        "How long is the warranty of the {n}?",
        "What warranty does the {n} have?",
        "Is the {n} under warranty?",
    ],
    "parcel": ["Where is my parcel with the {n}?", "My parcel of the {n} is late.", "When does the {n} parcel arrive?"],
    "battery": ["How long does the {n} battery last?", "The battery of the {n} is weak.", "Which battery has the {n}?"],
}


def exchanges(seed: int, each: int = 30):
    dice = random.Random(seed)
    made = []
    for topic, frames in TOPICS.items():
        made += [
            (dice.choice(frames).format(n=f"Borel {dice.randrange(40)}"), f"The {topic} is fine.") for _ in range(each)
        ]
    return made


def test_topics_are_found_named_and_counted():
    failures = exchanges(1)
    kinds = ["factual"] * 40 + ["tone"] * 50
    found = clusters.cluster(failures, kinds, exchanges(2, 5))
    assert sum(cluster.count for cluster in found.clusters) == len(failures)
    assert sum(cluster.successes for cluster in found.clusters) == 15
    for topic in TOPICS:
        homes = {index for index, (question, _) in zip(found.of_failure, failures, strict=True) if topic in question}
        others = {
            index for index, (question, _) in zip(found.of_failure, failures, strict=True) if topic not in question
        }
        assert not homes & others
        assert all(topic in found.clusters[index].name for index in homes)
    assert [c.count for c in found.clusters] == sorted((c.count for c in found.clusters), reverse=True)
    assert [c.id for c in found.clusters][:2] == ["c01", "c02"]


def test_the_order_of_failures_does_not_matter():
    failures = exchanges(3)
    order = list(range(len(failures)))
    random.Random(1).shuffle(order)
    plain = clusters.cluster(failures, ["factual"] * len(failures))
    mixed = clusters.cluster([failures[i] for i in order], ["factual"] * len(failures))
    assert plain.clusters == mixed.clusters
    assert [plain.of_failure[i] for i in order] == mixed.of_failure


def test_nothing_and_little():
    assert clusters.cluster([], []).clusters == []
    one = clusters.cluster([("Where is it?", "There.")], ["tone"], [("Who?", "Me.")])
    assert [(c.count, c.category, c.successes) for c in one.clusters] == [(1, "tone", 1)]
    empty = clusters.cluster([("", "")] * 20, ["factual"] * 20)
    assert [c.name for c in empty.clusters] == ["other"]
    apart = [(f"{word} {word}{word}", "") for word in "abcdefghijkl"]
    assert len(clusters.cluster(apart, ["factual"] * len(apart)).clusters) == 1


def test_the_page_escapes_what_users_wrote():
    page = cluster_page.render(
        [{"id": "c01", "name": "a|b", "count": 1, "category": "tone", "successes": 0, "examples": ["<script>*x*\n|"]}],
        {"tone": 1},
    )
    assert "<script>" not in page
    assert "a\\|b" in page
    assert "No failed interaction" in cluster_page.render([], {})
