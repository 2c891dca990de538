import csv
import random

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st

from flywheel.components.curation.review import csv_queue
from flywheel.components.curation.review.requests import Request
from tests.curation.review.conftest import candidate_row


def queue_of(tmp_path, count=4, **more):
    rows = [candidate_row(number, **more) for number in range(count)]
    path = tmp_path / "queue.csv"
    csv_queue.write([Request(row, f"content{number}", "audit") for number, row in enumerate(rows)], str(path))
    return path, rows


def answered(path, answers, delimiter=",", encoding="utf-8-sig", shuffle=None, end="\r\n"):
    """What a spreadsheet would save after somebody answered: other delimiter, encoding, order of rows and columns."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row, answer in zip(rows, answers, strict=True):
        row.update(answer)
    names = list(rows[0])
    if shuffle is not None:
        random.Random(shuffle).shuffle(rows)
        random.Random(shuffle).shuffle(names)
    out = path.with_name("answered.csv")
    with out.open("w", encoding=encoding, newline="") as file:
        sheet = csv.DictWriter(file, names, delimiter=delimiter, lineterminator=end)
        sheet.writeheader()
        sheet.writerows(rows)
    return str(out)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "utf-16", "cp1252"])
def test_what_a_spreadsheet_does_to_a_file_does_not_matter(tmp_path, delimiter, encoding):
    path, rows = queue_of(tmp_path)
    answers = [
        {"verdict": "Accept", "category": "tone", "note": "höflicher, bitte"},
        {"verdict": "reject"},
        {},
        {"verdict": "accept", "edited_correction": 'Es gilt 36 Monate;\nwirklich, "ja".'},
    ]
    read, empty = csv_queue.read(answered(path, answers, delimiter, encoding, shuffle=7), "ann")
    assert empty == 1
    found = {one.candidate_id: one for one in read}
    assert set(found) == {rows[0]["candidate_id"], rows[1]["candidate_id"], rows[3]["candidate_id"]}
    first, last = found[rows[0]["candidate_id"]], found[rows[3]["candidate_id"]]
    assert (first.verdict, first.category, first.note, first.reviewer) == ("Accept", "tone", "höflicher, bitte", "ann")
    assert last.correction == 'Es gilt 36 Monate;\nwirklich, "ja".'


def test_lines_are_numbered_as_in_the_file(tmp_path):
    path, _ = queue_of(tmp_path, 3, correction="Two\nlines.")
    read, _ = csv_queue.read(answered(path, [{"verdict": "accept"}] * 3), "ann")
    text = (tmp_path / "answered.csv").read_text(encoding="utf-8-sig").splitlines()
    assert len({one.place for one in read}) == 3
    assert all(text[one.place - 1].startswith(f"c-{one.candidate_id}") for one in read)


def test_a_cell_of_a_user_is_no_formula(tmp_path):
    path, _ = queue_of(tmp_path, 1, response='=HYPERLINK("http://x.example","y")', correction="@SUM(A1)", prompt="+1?")
    with path.open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {row["response"][0], row["correction"][0], row["prompt"][0]} == {"'"}
    assert row["candidate"].startswith("c-")  # an id of digits alone would become a number


def test_an_edit_may_begin_with_a_minus_sign(tmp_path):
    path, _ = queue_of(tmp_path, 1)
    (one,), _ = csv_queue.read(answered(path, [{"verdict": "accept", "edited_correction": "'-5 degrees"}]), "ann")
    assert one.correction == "-5 degrees"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "lacks the columns candidate, verdict"),
        (b"name,verdict\nx,accept\n", "lacks the columns candidate;"),
        (b"PK\x03\x04\x00\x00zip", "no CSV file"),
    ],
)
def test_a_file_that_is_no_queue_is_refused(tmp_path, data, words):
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words):
        csv_queue.read(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="flywheel review export"):
        csv_queue.read(str(tmp_path / "none.csv"))


@hypothesis_given(st.binary(max_size=300))
@settings(max_examples=80, deadline=None)
def test_any_bytes_are_read_or_refused_with_words(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "x.csv"
    path.write_bytes(b"candidate,verdict\n" + data)
    try:
        answers, empty = csv_queue.read(str(path))
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert empty >= 0 and all(one.place >= 2 for one in answers)
