"""Clusters against the topics that the small world knows, beside a plain baseline."""

from random import Random

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from flywheel.components.curation.clustering import clusters
from flywheel.components.curation.clustering.points import Case
from flywheel.scripts.small_world import facts, phrasings, service

ATTRIBUTES = facts.ATTRIBUTES.values()
TOPICS = [*(attribute.name for attribute in ATTRIBUTES), "service", "refusal"]
SHARES = [*(0.85 * attribute.popularity for attribute in ATTRIBUTES), 0.1, 0.05]


def world(size: int, seed: int, topics: tuple[str, ...] = ()) -> tuple[list[Case], list[str]]:
    """Questions with answers as the small world's users ask them, and the topic of each; `topics` narrows them."""
    random = Random(f"quality:{seed}")
    known = facts.yesterday(7)
    by_attribute = {name: [key for key in known if key[1] == name] for name in facts.ATTRIBUTES}
    cases: list[Case] = []
    labels: list[str] = []
    while len(cases) < size:
        topic = random.choices(TOPICS, SHARES)[0]
        if topic == "service":
            asked = random.choice(service.SERVICES)
            question, answer, name = random.choice(asked.wordings), asked.old, asked.name
        elif topic == "refusal":
            question, answer, name = phrasings.refused_question(random), phrasings.REFUSAL, topic
        else:
            key = random.choice(by_attribute[topic])
            question, answer, name = phrasings.question(key, random.choice(phrasings.USERS)), "", topic
            answer = facts.sentence(key, known[key])
        if topics and topic not in topics:
            continue
        if random.random() < 0.3:
            question = phrasings.sloppy(question, random)
        cases.append(Case(question, answer, f"u{random.randrange(200)}"))
        labels.append(name)
    return cases, labels


def baseline(cases: list[Case], k: int) -> list[int]:
    """What a notebook would do: TF-IDF of the texts and k-means, given the right number of groups."""
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [f"{case.question} {case.answer}" for case in cases]
    with threadpool_limits(1):
        return list(KMeans(k, n_init=4, random_state=1).fit_predict(TfidfVectorizer().fit_transform(texts)))


@pytest.mark.slow
@pytest.mark.parametrize(("method", "floor"), [("kmeans", 0.85), ("hdbscan", 0.85)])
def test_clusters_are_the_topics_of_the_small_world(method, floor):
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    ours, plain, information = [], [], []
    for seed in range(4):
        cases, labels = world(700, seed)
        found = clusters.cluster(cases, method=method)
        ours.append(adjusted_rand_score(labels, found.of_case))
        information.append(normalized_mutual_info_score(labels, found.of_case))
        plain.append(adjusted_rand_score(labels, baseline(cases, len(set(labels)))))
    print(f"{method}: ARI {np.mean(ours):.3f} (baseline {np.mean(plain):.3f}), NMI {np.mean(information):.3f}")
    assert np.mean(ours) > floor
    assert np.mean(information) > 0.85
    assert np.mean(ours) > np.mean(plain) + 0.2
    assert min(ours) > 0.75


@pytest.mark.slow
def test_ids_are_not_handed_to_another_topic():
    """Twelve runs on changing topics: does a kept id hold other topics than before? A mixed cluster may shift."""
    attributes = tuple(facts.ATTRIBUTES)
    known, meant = None, {}  # id -> share of each topic in it
    kept = wrong = missed = 0
    for run in range(12):
        random = Random(run)
        present = tuple(random.sample(attributes, 3 + run % 3)) + (("service",) if run % 2 else ())
        cases, labels = world(500, 100 + run, present)
        found = clusters.cluster(cases, f"r{run}", known=known)
        known = found.roster
        topics = ["service" if label not in attributes else label for label in labels]
        for index, cluster in enumerate(found.clusters):
            inside = [topic for topic, home in zip(topics, found.of_case, strict=True) if home == index]
            shares = {topic: inside.count(topic) / len(inside) for topic in set(inside)}
            common = {name: sum(min(shares.get(t, 0), then.get(t, 0)) for t in shares) for name, then in meant.items()}
            if cluster.change in ("kept", "back"):
                kept += 1
                wrong += common[cluster.id] < 0.25
            elif cluster.change == "new":
                missed += max(common.values(), default=0) > 0.75
            meant[cluster.id] = shares
    print(f"{kept} ids kept, {wrong} of them for other topics, {missed} known topics under a new id")
    assert kept >= 40
    assert wrong <= 0.05 * kept
    assert missed <= 0.05 * kept
