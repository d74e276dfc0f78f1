"""Reviewers' marks of scans as CSV (RFC 4180): run, scan, verdict, comment. The page writes it, `--marks` reads it.

A spreadsheet takes cells that begin with = + - @ for formulas. Such text gets an apostrophe in front when it is
written, and loses it again when it is read; text that begins with apostrophes before one of these is treated the same,
so that what comes back is what was written.
"""

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from retseg.errors import InputError

COLUMNS = ("run", "scan", "verdict", "comment")
VERDICTS = ("pass", "check", "fail")
LONGEST_COMMENT = 2000
LARGEST_BYTES = 2**24
FORMULA = re.compile(r"[ \t\r\n\xa0']*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Begins what a spreadsheet may take for a formula; the last four are the full-width forms. As in page.js."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a reviewer says of one run's answer to one scan: a verdict of VERDICTS, or none ("") and a comment alone."""

    run: str
    scan: str
    verdict: str
    comment: str


def read_marks(path: Path, scans: Mapping[str, Collection[str]]) -> list[Mark]:
    """Marks of a file, in its order; rows without verdict and comment are left out.

    scans: the scans that each run was scored on. InputError: not such a file, or marks of other runs or scans.
    """
    rows = _rows(path)
    if not rows or tuple(rows[0]) != COLUMNS:
        found = ",".join(rows[0]) if rows else "nothing"
        raise InputError(f"{path}: begins with {found[:80]!r}, expected the columns {','.join(COLUMNS)}; "
                         "export marks from a report, or save as CSV with commas")  # fmt: skip
    marks: list[Mark] = []
    seen: set[tuple[str, str]] = set()
    for line, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        mark = _mark(f"{path}, row {line}", row, scans)
        if (mark.run, mark.scan) in seen:
            raise InputError(f"{path}, row {line}: {mark.scan} of {mark.run} is marked twice; keep one of the rows")
        seen.add((mark.run, mark.scan))
        if mark.verdict or mark.comment:
            marks.append(mark)
    return marks


def marks_as_csv(marks: Sequence[Mark]) -> str:
    """Marks as the page exports them, lines ending as RFC 4180 has it."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([guarded(text) for text in (m.run, m.scan, m.verdict, m.comment)] for m in marks)
    return buffer.getvalue()


def guarded(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:]) else text


def _rows(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(f"{path}: {path.stat().st_size:,} bytes, at most {LARGEST_BYTES:,} are read; is it marks?")
        text = path.read_bytes().decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"--marks {path}: no such file; export marks from a report first") from error
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); export marks from a report again") from error


def _mark(place: str, row: Sequence[str], scans: Mapping[str, Collection[str]]) -> Mark:
    if len(row) != len(COLUMNS):
        raise InputError(f"{place}: {len(row)} cells, expected {len(COLUMNS)} ({', '.join(COLUMNS)}); correct the row")
    run, scan, verdict, comment = (unguarded(text) for text in row)
    if run not in scans:
        raise InputError(f"{place}: run {run[:80]!r} is not in this report; it has {', '.join(scans)}")
    if scan not in scans[run]:
        raise InputError(f"{place}: {run} was not scored on a scan {scan[:80]!r}; take marks of the same run")
    if verdict not in ("", *VERDICTS):
        raise InputError(f"{place}: verdict {verdict[:80]!r}, expected {', '.join(VERDICTS)} or nothing")
    if len(comment) > LONGEST_COMMENT:
        raise InputError(f"{place}: a comment of {len(comment)} characters, at most {LONGEST_COMMENT}; shorten it")
    return Mark(run, scan, verdict, comment)
