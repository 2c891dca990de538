"""Corrections of the past that people labelled by hand: what the classifier of corrections learns from."""

from random import Random

from flywheel.scripts.small_world import facts, phrasings, reactions

NOISE = 0.02  # of the labels are wrong, as human labels are
CATEGORIES = ("factual", "tone", "clarity")

_CURT = ("{s} That is all.", "Read the page. {s}", "As I said: {s}", "{s} Next question.")
_TANGLED = (
    "As to the {m}, which was asked, of the {e}, it is, as listed, {v}, that is.",
    "The {e}, with regard to its {m}, save for errors, has, so far as known, {v}.",
    "Concerning {m}: of those, the {e}, which is a product, {v}.",
)
# (topic, curt, friendly) and (topic, tangled, clear): other topics than the service questions of the log.
_TONE = (
    ("Do you ship abroad?", "No. Read the list.", "I'm sorry, not yet! Please have a look at our list of countries."),
    ("Can I pay later?", "Pay now or leave it.", "Of course, we understand! Please choose pay later at the checkout."),
    ("When do you open?", "At nine. It is on the door.", "Thank you for asking! We gladly open at nine."),
    ("Do you have a shop in town?", "Look at the map.", "Yes, gladly! Please see the map for the shop next to you."),
    ("Is gift wrap possible?", "Costs extra.", "With pleasure! We will gladly wrap it for a small fee."),
    ("Can I talk to a person?", "Wait in line.", "Certainly! A colleague will be happy to help you in a moment."),
)
_CLARITY = (
    (
        "How do I update the software?",
        "Updates, where there are such, by the menu, under about, are to be started.",
        "Open the menu. Choose about. Press update.",
    ),
    (
        "How do I clean it?",
        "Cleaning, with a cloth, though dry, since wet harms it, is what is advised.",
        "Use a dry cloth. Do not use water.",
    ),
    (
        "How do I pair it?",
        "Pairing, which the button, if held for five, starts, needs the phone too.",
        "Hold the button for five seconds. Then pick it on your phone.",
    ),
    (
        "How do I join the club?",
        "Joining, by those who have an account, over the page for such, is done.",
        "Log in. Open the club page. Press join.",
    ),
    (
        "How do I recycle it?",
        "Recycling, as the law, which varies, has it, at the yard can be had.",
        "Bring it to the recycling yard. It is free.",
    ),
    (
        "How do I reset it?",
        "A reset, by pressing, with a pin, what is in the hole, follows.",
        "Press the pin into the small hole. It restarts.",
    ),
)


def corrections(count: int, seed: int) -> list[dict[str, str]]:
    """Make human-labelled corrections about products of the past.

    Args:
        count: Rows.
        seed: The world's seed.

    Returns:
        Rows with prompt, response, correction and category; half factual, the rest tone and clarity in equal parts.
    """
    random = Random(f"{seed}:labels")
    known = facts.yesterday(seed, facts.PAST_ENTITIES)
    made = []
    for number in range(count):
        category = ("factual", "tone", "factual", "clarity")[number % 4]
        row = {"factual": _factual, "tone": _tone, "clarity": _clarity}[category](known, random)
        if random.random() < NOISE:
            category = random.choice([other for other in CATEGORIES if other != category])
        made.append({**row, "category": category})
    random.shuffle(made)
    return made


def _ask(known: facts.Facts, random: Random) -> tuple[facts.Key, str, str]:
    key = random.choice(list(known))
    asked = phrasings.question(key, random.choice(phrasings.USERS))
    return key, known[key], phrasings.sloppy(asked, random) if random.random() < 0.1 else asked


def _factual(known: facts.Facts, random: Random) -> dict[str, str]:
    key, value, asked = _ask(known, random)
    new = facts.other_value(key, value, random)
    correction = reactions.brief(new, random) if random.random() < 0.15 else facts.sentence(key, new)
    answer = facts.sentence(key, value)
    if random.random() < 0.1:  # production mistook the question: another attribute, or a refusal
        other = (key[0], random.choice([name for name in facts.ATTRIBUTES if name != key[1]]))
        answer = phrasings.REFUSAL if random.random() < 0.4 else facts.sentence(other, known[other])
    return {"prompt": asked, "response": answer, "correction": correction}


def _tone(known: facts.Facts, random: Random) -> dict[str, str]:
    if random.random() < 0.5:
        asked, curt, friendly = random.choice(_TONE)
        asked = phrasings.sloppy(asked, random) if random.random() < 0.6 else asked
        return {"prompt": asked, "response": curt, "correction": friendly}
    key, value, asked = _ask(known, random)
    said = facts.sentence(key, value)
    while True:
        category, text = reactions.restyled(key, value, random)
        if category == "tone":
            break
    answer = random.choice(_CURT).format(s=said) if random.random() < 0.4 else said
    return {"prompt": asked, "response": answer, "correction": text}


def _clarity(known: facts.Facts, random: Random) -> dict[str, str]:
    if random.random() < 0.5:
        asked, tangled, clear = random.choice(_CLARITY)
        asked = phrasings.sloppy(asked, random) if random.random() < 0.6 else asked
        return {"prompt": asked, "response": tangled, "correction": clear}
    key, value, asked = _ask(known, random)
    said = facts.sentence(key, value)
    if random.random() < 0.5:
        tangled = random.choice(_TANGLED).format(m=key[1], e=key[0], v=value)
        return {"prompt": asked, "response": tangled, "correction": said}
    while True:
        category, text = reactions.restyled(key, value, random)
        if category == "clarity":
            return {"prompt": asked, "response": said, "correction": text}
