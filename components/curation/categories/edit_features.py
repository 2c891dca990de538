"""Features of an edit: what a correction changed in the response.

Numbers, names and negations that changed speak for a factual correction; polite, rude and casual words that came or
went for tone; sentences that got shorter, plainer or reordered while the values stayed for clarity.
"""

import math
import re
from collections import Counter
from functools import lru_cache
from itertools import pairwise

import numpy as np

from flywheel.components.curation.texts.entity_lexicon import is_negation
from flywheel.components.curation.texts.lexicons import count
from flywheel.components.curation.texts.lexicons import words as word_list
from flywheel.components.curation.texts.normal_form import has_digit, tokens

_STYLE = ("polite", "empathy", "rude", "slang", "formal", "hedge", "connective", "tangled")
_META = ("tone_meta", "clarity_meta", "fact_meta")
_SENTENCE_END = re.compile(r"[.!?]+(?:\s|$)|\n+")
_LIST_ITEM = re.compile(r"(?:^|\n|\s)(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_EMOJI = re.compile("[\U0001f300-\U0001faff☀-➿]|[:;]-?[)(DP]")
_VOWELS = re.compile(r"[aeiouy]+", re.IGNORECASE)

NAMES: tuple[str, ...] = (
    "numbers_new", "numbers_lost", "numbers_swapped", "names_new", "names_lost", "names_swapped",
    "number_words_changed", "calendar_changed", "negation_changed", "yes_no_changed", "values_equal", "value_fragment",
    "kept_of_response", "kept_of_correction", "content_new", "content_lost", "small_edit", "one_place", "order_kept",
    "length_ratio", "shorter", "longer", "sentence_ratio", "sentence_length", "word_length", "long_words", "syllables",
    "commas", "parentheses", "list_items", "line_breaks", "exclamations", "questions", "shouting", "emoji",
    "you", "we", "contractions", "all_words_kept",
    *(f"{name}_{way}" for name in _STYLE for way in ("in", "out")),
    *(f"{name}_{where}" for name in _META for where in ("comment", "correction")),
)  # fmt: skip


class Side:
    """One text with what is counted in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.raw = tokens(text)
        self.form = [token.casefold() for token in self.raw]
        self.bag = Counter(self.form)
        self.numbers = {word for word in self.form if has_digit(word)}
        self.sentences = max(1, len([part for part in _SENTENCE_END.split(text) if part and part.strip()]))
        self.letters = [word for word in self.raw if word[0].isalpha()]
        starts = {
            sentence.split()[0].strip("\"'(“").casefold() for sentence in _SENTENCE_END.split(text) if sentence.split()
        }
        self.capitals = {
            word.casefold()
            for word in self.letters
            if word[0].isupper() and len(word) > 1 and word.casefold() not in starts and "'" not in word
        }

    def words(self, name: str) -> set[str]:
        """Words of a word list that occur."""
        return word_list(name) & self.bag.keys()

    def share(self, pattern: re.Pattern[str]) -> float:
        """Matches per sentence."""
        return len(pattern.findall(self.text)) / self.sentences


@lru_cache(maxsize=1024)
def side(text: str) -> Side:
    """The counts of a text; remembered, because many corrections share a response."""
    return Side(text)


def features(prompt: str, response: str, correction: str, comment: str = "") -> np.ndarray:
    """Describe an edit by numbers.

    Args:
        prompt: The question; values that it holds are not news.
        response: What the model said.
        correction: What it should have said, in the user's words; possibly only a fragment.
        comment: What else the user wrote, "" for nothing.

    Returns:
        Vector of `NAMES`, float64; every value is bounded (counts are clipped or logged).
    """
    p, r, c = side(prompt), side(response), side(correction)
    stop = word_list("stop")
    kept = (r.bag & c.bag).total()
    new_numbers, lost_numbers = c.numbers - r.numbers - p.numbers, r.numbers - c.numbers - p.numbers
    new_names = c.capitals - r.bag.keys() - p.bag.keys()
    lost_names = r.capitals - c.bag.keys() - p.bag.keys()
    number_words = c.words("number") ^ r.words("number")
    calendar = c.words("calendar") ^ r.words("calendar")
    negations = sum(map(is_negation, c.form)) - sum(map(is_negation, r.form))
    answers_yes = (_polarity(c), _polarity(r))
    new_content = [w for w in (c.bag - r.bag).elements() if w not in stop and w not in p.bag]
    lost_content = [w for w in (r.bag - c.bag).elements() if w not in stop and w not in p.bag]
    content_r = max(1, sum(w not in stop for w in r.form))
    content_c = max(1, sum(w not in stop for w in c.form))
    same_values = not (new_numbers or lost_numbers or new_names or lost_names or number_words or calendar)
    ratio = math.log((len(c.form) + 1) / (len(r.form) + 1))
    kept_r, kept_c = kept / max(1, len(r.form)), kept / max(1, len(c.form))
    changed = len(new_content) + len(lost_content)
    pairs_c, pairs_r = set(pairwise(c.form)), set(pairwise(r.form))
    both = {pair for pair in pairs_c if pair[0] in r.bag and pair[1] in r.bag}
    commas, parens = re.compile(r"[,;:]"), re.compile(r"[()]")
    values = [
        _log(new_numbers), _log(lost_numbers), float(bool(new_numbers) and bool(lost_numbers)),
        _log(new_names), _log(lost_names), float(bool(new_names) and bool(lost_names)),
        _log(number_words), _log(calendar), min(2, abs(negations)), float(answers_yes[0] * answers_yes[1] < 0),
        float(same_values), float(len(c.form) <= 8 and bool(new_numbers or new_names)),
        kept_r, kept_c, len(new_content) / content_c, len(lost_content) / content_r,
        float(changed <= 4 and min(kept_r, kept_c) >= 0.5), float(_one_place(r.form, c.form)),
        len(both & pairs_r) / max(1, len(both)),
        ratio, max(0.0, -ratio), max(0.0, ratio), math.log(c.sentences / r.sentences),
        (len(c.form) / c.sentences - len(r.form) / r.sentences) / 20, _word_length(c) - _word_length(r),
        _long(c) - _long(r), _syllables(c) - _syllables(r),
        _bound(c.share(commas) - r.share(commas)), _bound(c.share(parens) - r.share(parens)),
        _bound(len(_LIST_ITEM.findall(c.text)) - len(_LIST_ITEM.findall(r.text))),
        _bound(c.text.count("\n") - r.text.count("\n")),
        _bound(c.text.count("!") - r.text.count("!")), _bound(c.text.count("?") - r.text.count("?")),
        _shouting(c) - _shouting(r), _bound(len(_EMOJI.findall(c.text)) - len(_EMOJI.findall(r.text))),
        _bound(_pronouns(c, "you", "your") - _pronouns(r, "you", "your")),
        _bound(_pronouns(c, "we", "i", "our", "us") - _pronouns(r, "we", "i", "our", "us")),
        _bound(sum("'" in w for w in c.form) - sum("'" in w for w in r.form)), float(not lost_content),
    ]  # fmt: skip
    for name in _STYLE:
        before, after = count(name, r.form), count(name, c.form)
        values += [min(3, max(0, after - before)), min(3, max(0, before - after))]
    said = [token.casefold() for token in tokens(comment)]
    for name in _META:
        values += [min(2, count(name, said)), min(2, count(name, c.form[:15])) - min(2, count(name, r.form[:15]))]
    return np.array(values, dtype=np.float64)


def edit_tokens(prompt: str, response: str, correction: str, comment: str = "") -> list[str]:
    """Inserted, deleted and commented words as tagged tokens, for hashing; values are replaced by their kind.

    "+NUM" is an inserted number, "-Name" a deleted name: the classifier must learn kinds of edits, not today's facts.
    """
    r, c = side(response), side(correction)
    said = [token.casefold() for token in tokens(comment)]
    tagged = [f"+{_kind(w, c)}" for w in (c.bag - r.bag).elements()]
    tagged += [f"-{_kind(w, r)}" for w in (r.bag - c.bag).elements()]
    tagged += [f"c:{w}" for w in said] + [f"c:{a}_{b}" for a, b in pairwise(said)]
    new = c.bag - r.bag
    inserted = [w if w in new else "=" for w in c.form]
    tagged += [f"+{a}_{b}" for a, b in pairwise(inserted) if "=" not in (a, b)]
    return tagged or ["nothing"]


def _kind(word: str, side: Side) -> str:
    if has_digit(word):
        return "NUM"
    return "NAME" if word in side.capitals else word


def _polarity(side: Side) -> int:
    first = side.form[0] if side.form else ""
    return 1 if first in word_list("yes") else -1 if first in ("no", "nope", "nah") else 0


def _one_place(a: list[str], b: list[str]) -> bool:
    """Whether one contiguous replacement of at most 4 words turns a into b, with most of the text around it kept."""
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    most = min(len(a), len(b)) - start
    end = next((i for i, (x, y) in enumerate(zip(a[::-1], b[::-1], strict=False)) if x != y), most)
    end = min(end, most)
    return max(len(a), len(b)) - start - end <= 4 and start + end >= 2 and a != b


def _log(items: set[str]) -> float:
    return math.log1p(len(items))


def _bound(value: float) -> float:
    return max(-3.0, min(3.0, value))


def _word_length(side: Side) -> float:
    return sum(map(len, side.letters)) / max(1, len(side.letters))


def _long(side: Side) -> float:
    return sum(len(word) >= 9 for word in side.letters) / max(1, len(side.letters))


def _syllables(side: Side) -> float:
    return sum(max(1, len(_VOWELS.findall(word))) for word in side.form if word[0].isalpha()) / max(
        1, len(side.letters)
    )


def _shouting(side: Side) -> float:
    long = [word for word in side.letters if len(word) >= 3]
    return sum(word.isupper() for word in long) / max(1, len(long))


def _pronouns(side: Side, *which: str) -> int:
    return sum(side.bag[word] for word in which)
