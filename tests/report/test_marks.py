import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retseg.errors import InputError
from retseg.report.marks import FORMULA, Mark, guarded, marks_as_csv, read_marks, unguarded

SCANS = {"run": {"s01_b00", "s01_b01"}, "=cmd": {"-1"}}
HEAD = "run,scan,verdict,comment\r\n"


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "marks.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_marks_are_read_in_their_order_and_empty_rows_left_out(tmp_path):
    text = HEAD + 'run,s01_b01,fail,"BM, ""too deep"""\r\nrun,s01_b00,,\r\n\r\n=cmd,-1,,line\r\n'
    marks = read_marks(written(tmp_path, "\ufeff" + text), SCANS)
    assert marks == [Mark("run", "s01_b01", "fail", 'BM, "too deep"'), Mark("=cmd", "-1", "", "line")]


def test_what_is_written_is_read_back_and_begins_no_formula(tmp_path):
    comments = [
        "=HYPERLINK(1)",
        "'=1",
        "''+1",
        " @x",
        "plain, text",
        'a "quote"',
        "two\nlines",
        "\N{FULLWIDTH EQUALS SIGN}1",
    ]
    for comment in comments:
        marks = [Mark("run", "s01_b00", "check", comment), Mark("=cmd", "-1", "pass", "")]
        text = marks_as_csv(marks)
        assert not [
            cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row if cell[:1] in "=+-@" and cell
        ]
        assert text.startswith(HEAD)
        assert read_marks(written(tmp_path, text), SCANS) == marks


@given(st.text())
def test_any_text_comes_back(text):
    assert unguarded(guarded(text)) == text
    assert not re.match(r"[=+\-@]", guarded(text))
    assert (guarded(text) != text) == bool(FORMULA.match(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with 'nothing', expected the columns run,scan,verdict,comment"),
        ("run;scan;verdict;comment\r\n", "begins with 'run;scan;verdict;comment'.*save as CSV with commas"),
        (HEAD + "run,s01_b00,pass\r\n", "row 2: 3 cells, expected 4"),
        (HEAD + "other,s01_b00,pass,\r\n", "row 2: run 'other' is not in this report; it has run, =cmd"),
        (HEAD + "run,s09_b00,pass,\r\n", "row 2: run was not scored on a scan 's09_b00'; take marks of the same run"),
        (HEAD + "run,s01_b00,good,\r\n", "row 2: verdict 'good', expected pass, check, fail or nothing"),
        (HEAD + "run,s01_b00,pass,\r\nrun,s01_b00,fail,\r\n", "row 3: s01_b00 of run is marked twice"),
        (HEAD + f"run,s01_b00,pass,{'x' * 2001}\r\n", "row 2: a comment of 2001 characters, at most 2000; shorten it"),
        (HEAD + 'run,s01_b00,pass,"open\r\n', "not a CSV in UTF-8"),
    ],
)
def test_what_is_wrong_is_said_with_its_row(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        read_marks(written(tmp_path, text), SCANS)


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file; export marks from a report first"):
        read_marks(tmp_path / "absent.csv", SCANS)
    with pytest.raises(InputError, match="not a CSV in UTF-8"):
        read_marks(written(tmp_path, HEAD + "run,s01_b00,pass,é", "latin-1"), SCANS)
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(InputError, match="16,777,217 bytes, at most 16,777,216 are read; is it marks"):
        read_marks(large, SCANS)
