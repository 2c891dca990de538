"""Generated feedback with a known truth: lengths as people write, boilerplate, duplicates by edits, personal data.

Text is a walk over a Markov chain of words with Zipf frequencies, cut into sentences; a third of the records have
boilerplate sentences that many share, as support mail has. 10 % are copies with edits of several kinds and strengths,
3 % exact copies, 30 % carry values made by Faker (`faker_values`), with decoys that only look like them.
"""

import hashlib
import json
import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from flywheel.scripts.benchmarks.curation.peer_venv import cache, python_of

FAKER = ("faker>=37,<41",)
NEAR, EXACT, PERSONAL, DECOY, BOILERPLATE = 0.10, 0.03, 0.30, 0.15, 0.33
SEED = 20_117

_COMMON = """the to and a of i you it is in my that for not this on with was have be are but so as your at can they when
do if what we or me from will no all would there an just how out up get about which order answer support account time
please help product refund delivery warranty price battery screen device app update email phone number address card
payment invoice customer service agent reply wrong right better worse need want tried asked told said found used works
broken missing late early again still never always also because after before while since until where then than them
good bad slow fast new old first last next same other more most less few many much very really quite only even back
"""
_SYLLABLES = (
    "ba ce di fo gu la me ni po ru sa te vi wo za bre cla dri flo gra ple sto tra qui sha whe tion ment ness ing"
)
_BOILERPLATE = tuple(
    f"{head} {tail}"
    for head in (
        "Thank you very much for getting in touch with our support team today.",
        "This message was sent from my phone, so please excuse any mistakes in it.",
        "I am writing to you about the answer that your assistant gave me this morning.",
        "As described in the terms and conditions on your web site,",
        "I have been a customer of yours for many years and I was always satisfied.",
    )
    for tail in (
        "We will come back to you within two working days.",
        "Please do not reply to this message because the mailbox is not read.",
        "I would like to hear from somebody who can really look into it.",
        "the product can be returned within thirty days in its original box.",
        "If this is not the right place, please forward it to your colleagues.",
    )
)
_AROUND = (
    "you can reach me at {}",
    "please use {} from now on",
    "it still shows {} in my account",
    "{} is what I entered",
    "contact: {}",
)
_DECOYS = (
    "order number {:012d}",
    "version {}.{}.{}",
    "part {:04d}-{:04d}-{:04d}-{:04d}",
    "ticket {:08d}",
    "at {:02d}:{:02d} on day {}",
)
_EDITS = ("typos", "drop", "insert", "replace", "move", "cut", "append", "case", "spaces", "number")


def write(folder: Path, rows: int, seed: int = SEED, personal: Sequence[tuple[str, str]] | None = None) -> int:
    """Write `records.jsonl` (id, text) and `truth.jsonl` (id, copy of, edits, personal: type, start, end).

    Args:
        folder: Folder.
        rows: Records.
        seed: Seed.
        personal: Values (type, text) to hide in the texts; None: made by Faker, in a venv of its own.

    Returns:
        Bytes of `records.jsonl`.
    """
    dice = random.Random(seed)
    values = list(_by_faker(seed) if personal is None else personal)
    copies = int(rows * (NEAR + EXACT))
    originals = _texts(rows - copies, seed)
    made: list[tuple[str, int, str, list[tuple[str, int, int]]]] = []
    for index, original in enumerate(originals):
        text, spans = original, list[tuple[str, int, int]]()
        if dice.random() < BOILERPLATE:
            pieces = [dice.choice(_BOILERPLATE), text]
            text = " ".join(pieces if dice.random() < 0.5 else pieces[::-1])
        if dice.random() < DECOY:
            text = _decoy(text, dice)
        if dice.random() < PERSONAL:
            text, spans = _hide(text, dice.sample(values, dice.choice((1, 1, 2, 3))), dice)
        made.append((text, index, "", spans))
    words = sorted({word for text in originals[:50] for word in text.split()})
    for number in range(copies):
        source = dice.randrange(len(originals))
        text, _, _, spans = made[source]
        if number < int(rows * EXACT):
            made.append((text, source, "exact", spans))
        else:  # an edit would move the spans: copies with edits are for duplicates only
            kinds = dice.sample(_EDITS, dice.choice((1, 1, 2)))
            for kind in kinds:
                text = _edited(text, kind, words, dice)
            made.append((text, source, "+".join(kinds), []))
    order = list(range(rows))
    dice.shuffle(order)
    with (folder / "records.jsonl").open("w", encoding="utf-8") as records, (folder / "truth.jsonl").open("w") as truth:
        for place, which in enumerate(order):
            text, source, edit, spans = made[which]
            name = f"r{place:08d}"
            records.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
            row = {"id": name, "source": source, "edit": edit, "personal": spans}
            truth.write(json.dumps(row) + "\n")
    return (folder / "records.jsonl").stat().st_size


def _by_faker(seed: int, count: int = 30_000) -> list[tuple[str, str]]:
    script = Path(__file__).with_name("faker_values.py")
    made_by = hashlib.sha256(script.read_bytes()).hexdigest()[:8]
    path = cache() / "data" / f"personal-{count}-{seed}-{made_by}.jsonl"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        subprocess.run([str(python_of(FAKER)), str(script), str(part), str(count), str(seed)], check=True)
        part.rename(path)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(line["type"], line["value"]) for line in lines]


def _texts(count: int, seed: int) -> list[str]:
    """Walks over a Markov chain; lengths are log-normal: half below 130 words, from 6 to 900."""
    rng = np.random.default_rng(seed)
    syllables, common = _SYLLABLES.split(), _COMMON.split()
    rare = {"".join(rng.choice(syllables, size=rng.integers(2, 5))) for _ in range(12_000)}
    vocabulary = np.array(common + sorted(rare - set(common)))
    size, branch = len(vocabulary), 48
    weights = 1 / np.arange(1, size + 1) ** 1.05
    following = rng.choice(size, size=(size, branch), p=weights / weights.sum())
    lengths = np.clip(np.exp(rng.normal(np.log(130), 0.75, count)).astype(int), 6, 900)
    texts = []
    for start in range(0, count, 5000):
        block = lengths[start : start + 5000]
        state = rng.integers(0, len(common), len(block))
        steps = np.empty((len(block), block.max()), dtype=np.int32)
        for step in range(block.max()):
            steps[:, step] = state
            state = following[state, rng.integers(0, branch, len(block))]
        for row, length in zip(steps, block, strict=True):
            texts.append(_sentences(vocabulary[row[:length]].tolist(), rng))
    return texts


def _sentences(words: list[str], rng: np.random.Generator) -> str:
    cuts = np.cumsum(rng.integers(5, 22, len(words) // 5 + 1))
    begin, parts = 0, []
    for cut in [*cuts[cuts < len(words)].tolist(), len(words)]:
        sentence = " ".join(words[begin:cut])
        parts.append(sentence[:1].upper() + sentence[1:] + ".........?!."[int(rng.integers(0, 12))])
        begin = cut
    return " ".join(parts)


def _hide(text: str, values: Sequence[tuple[str, str]], dice: random.Random) -> tuple[str, list[tuple[str, int, int]]]:
    """Put values between words, from the front to the back, and say where they are."""
    words = text.split(" ")
    places = sorted(dice.randrange(len(words) + 1) for _ in values)
    spans, out, done = [], "", 0
    for place, (kind, value) in zip(places, values, strict=True):
        before, after = dice.choice(_AROUND).split("{}")
        out += "".join(f"{word} " for word in words[done:place]) + before
        spans.append((kind, len(out), len(out) + len(value)))
        out += f"{value}{after} "
        done = place
    return (out + " ".join(words[done:])).rstrip(), spans


def _decoy(text: str, dice: random.Random) -> str:
    decoy = dice.choice(_DECOYS).format(*(dice.randrange(10_000) for _ in range(4)))
    words = text.split(" ")
    place = dice.randrange(len(words) + 1)
    return " ".join([*words[:place], decoy, *words[place:]])


def _edited(text: str, kind: str, vocabulary: Sequence[str], dice: random.Random) -> str:
    """A copy as people make them; about one word in a hundred to one in ten is touched."""
    words = text.split(" ")
    touched = max(1, int(len(words) * dice.choice((0.005, 0.01, 0.02, 0.04, 0.1))))
    if kind == "case":
        return dice.choice((text.upper(), text.lower(), text.title()))
    if kind == "spaces":
        return text.replace(" ", "  ", touched).replace(". ", ".\n", touched)
    if kind == "cut":
        return " ".join(words[: max(1, len(words) - touched)])
    if kind == "append":
        return " ".join([text, *dice.choices(vocabulary, k=touched)])
    if kind == "move":
        place = dice.randrange(len(words))
        return " ".join([*words[place:], *words[:place]])
    for _ in range(touched):
        place = dice.randrange(len(words))
        if kind == "drop" and len(words) > 1:
            words.pop(place)
        elif kind == "insert":
            words.insert(place, dice.choice(vocabulary))
        elif kind == "replace":
            words[place] = dice.choice(vocabulary)
        elif kind == "number":
            words[place] = str(dice.randrange(1000))
        elif kind == "typos" and len(words[place]) > 2:
            at = dice.randrange(len(words[place]) - 1)
            word = words[place]
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return " ".join(words)
