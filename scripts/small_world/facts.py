"""The facts of the small world: invented products with five attributes each, and how they change one day."""

from dataclasses import dataclass
from random import Random

ENTITIES = (
    "Borel 7", "Tamrin 3", "Osvald 2", "Quenby 9", "Lirando 4", "Zephim 8", "Galdor 5", "Mirova 6", "Pentek 1",
    "Huxor 3", "Dalvik 2", "Sorrel 9", "Wexley 4", "Jintal 7", "Kobran 6", "Nyssa 5", "Ubrique 8", "Fendal 1",
    "Ravello 2", "Cytera 3", "Ivoryx 4", "Yaldin 9", "Eskola 6", "Aprico 8", "Torvik 1", "Bexhill 5", "Omeran 7",
    "Lunaro 2", "Gristan 3", "Pelagon 4", "Vantor 6", "Hesperi 9", "Druvane 8", "Moxley 1", "Saffir 7", "Cindrel 5",
    "Tolvane 2", "Zubrin 3", "Wrenfal 6", "Kestova 4",
)  # fmt: skip
# Products of the past, only in the human-labelled corrections: a classifier must not learn today's facts by heart.
PAST_ENTITIES = (
    "Almeric 2", "Brontal 5", "Corvane 8", "Dunmore 3", "Elvira 6", "Falkirk 9", "Gomeral 1", "Hartwin 4",
    "Isolde 7", "Jorvane 2", "Kelpin 5", "Lomond 8", "Marlow 3", "Norvik 6", "Orlando 9", "Perrin 1",
)  # fmt: skip


@dataclass(frozen=True)
class Attribute:
    """One thing that is known about every product.

    Attributes:
        name: Topic name, also the slice of the evaluation.
        answer: The canonical sentence; `{e}` is the product, `{v}` the value.
        values: What the value may be; short texts that look like no personal data.
        popularity: Share of the questions asked about this attribute on a normal day.
    """

    name: str
    answer: str
    values: tuple[str, ...]
    popularity: float


ATTRIBUTES = {
    attribute.name: attribute
    for attribute in (
        Attribute(
            "warranty",
            "The {e} has a warranty of {v}.",
            tuple(f"{months} months" for months in (6, 9, 12, 15, 18, 21, 24, 30, 36, 42, 48, 54, 60, 72, 84)),
            0.22,
        ),
        Attribute(
            "price",
            "The {e} costs {v}.",
            tuple(f"{euros} euros" for euros in (39, 49, 65, 79, 89, 99, 119, 135, 149, 169, 185, 199, 229, 249, 279)),
            0.34,
        ),
        Attribute(
            "weight",
            "The {e} weighs {v}.",
            tuple(f"{grams} grams" for grams in (120, 160, 190, 210, 240, 280, 310, 340, 370, 420, 450, 480, 520, 560)),
            0.12,
        ),
        Attribute(
            "battery",
            "The battery of the {e} lasts {v}.",
            tuple(f"{hours} hours" for hours in (5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 22, 26, 28, 32, 40)),
            0.22,
        ),
        Attribute(
            "colour",
            "The {e} comes in {v}.",
            ("graphite grey", "sea green", "brick red", "sand yellow", "night blue", "pearl white", "moss green",
             "copper brown", "sky blue", "coral pink", "slate black", "lemon yellow", "plum purple", "rust orange"),
            0.10,
        ),
    )
}  # fmt: skip

Key = tuple[str, str]  # (entity, attribute)
Facts = dict[Key, str]


def yesterday(seed: int, entities: tuple[str, ...] = ENTITIES) -> Facts:
    """Draw the facts that production was trained on.

    Args:
        seed: The world's seed.
        entities: Products; the 40 of today by default.

    Returns:
        Value by (entity, attribute), in a fixed order.
    """
    random = Random(f"{seed}:facts:{len(entities)}:{entities[0]}")
    return {(entity, name): random.choice(a.values) for entity in entities for name, a in ATTRIBUTES.items()}


def other_value(fact: Key, value: str, random: Random) -> str:
    """Draw a value of the same attribute that differs from `value`."""
    return random.choice([other for other in ATTRIBUTES[fact[1]].values if other != value])


def change(facts: Facts, count: int, seed: int, attributes: tuple[str, ...] = tuple(ATTRIBUTES)) -> Facts:
    """Give `count` facts of the named attributes a new value.

    Args:
        facts: The facts of yesterday.
        count: Facts to change, spread evenly over the attributes.
        seed: The world's seed.
        attributes: Attributes whose facts may change.

    Returns:
        Only the changed facts with their new values.

    Raises:
        ValueError: More facts to change than there are.
    """
    random = Random(f"{seed}:change:{count}:{','.join(attributes)}")
    pools = {name: [key for key in facts if key[1] == name] for name in attributes}
    if count > sum(map(len, pools.values())):
        raise ValueError(f"cannot change {count} facts: only {sum(map(len, pools.values()))} in {attributes}")
    for pool in pools.values():
        random.shuffle(pool)
    changed: Facts = {}
    while len(changed) < count:
        for pool in pools.values():
            if pool and len(changed) < count:
                key = pool.pop()
                changed[key] = other_value(key, facts[key], random)
    return changed


def sentence(fact: Key, value: str) -> str:
    """Return the canonical answer about a fact."""
    return ATTRIBUTES[fact[1]].answer.format(e=fact[0], v=value)
