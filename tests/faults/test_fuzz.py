"""Random damage of every kind of file: a result within bounds or one line. What is neither is noticed.

`python -m benchmarks.fuzz` does the same with as many cases as one likes.
"""

import os
import random
import signal
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz
from benchmarks.fuzz import Case, cases_of, run_cases
from benchmarks.fuzz_mutations import mutated
from benchmarks.fuzz_seeds import Format
from retseg.errors import InputError

CASES = 200
QUICK = tuple(format_ for format_ in fuzz.FORMATS if format_.name != "onnx")  # exporting one takes longer than the rest


def test_damage_of_every_format_is_read_or_refused_in_one_line(tmp_path):
    outcomes = list(run_cases(cases_of(QUICK, CASES), QUICK, tmp_path))
    assert len(outcomes) == CASES
    assert [(o.case.format, o.case.seed, o.why) for o in outcomes if o.what == "other"] == []
    assert {o.case.format for o in outcomes} == {format_.name for format_ in QUICK}
    assert sum(o.what == "read" for o in outcomes) > CASES / 10  # damage gets past the first bytes


def text(folder: Path) -> Path:
    (folder / "seed.txt").write_text("12345678" * 20)
    return folder / "seed.txt"


def spoilt_only(act):
    """A reader that reads a whole file, and does something else with any other."""

    def read(path: Path) -> None:
        if path.read_bytes() != b"12345678" * 20:
            act(path)

    return read


def two_lines(path: Path) -> None:
    error = InputError(f"{path}: wrong")
    error.args = (f"{path}: wrong\nand more",)
    raise error


def nameless(path: Path) -> None:
    raise InputError("something is wrong")


def too_much_memory(path: Path) -> None:
    np.empty(2 * fuzz.MEMORY_BYTES, np.uint8)


def writes_beside(path: Path) -> None:
    (path.parent.parent / "left.txt").write_text("x")


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (two_lines, "wrong\\nand more"),
        (nameless, "something is wrong"),
        (lambda path: [][1], "IndexError"),
        (too_much_memory, "MemoryError"),
        (writes_beside, "left.txt"),
        (lambda path: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
    ],
)
def test_what_is_neither_read_nor_refused_is_noticed_and_the_rest_goes_on(tmp_path, act, said):
    formats = [Format("text", text, spoilt_only(act)), Format("good", text, lambda path: None)]
    outcomes = list(run_cases(cases_of(formats, 4), formats, tmp_path))
    assert [o.what for o in outcomes][2:] == ["read", "read"]
    assert any(o.what == "other" and said in o.why for o in outcomes[:2]), outcomes


def test_a_reader_that_never_ends_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr(fuzz, "CPU_S", 0)

    def for_ever(path: Path) -> None:
        while True:
            pass

    formats = [Format("text", text, spoilt_only(for_ever))]
    (outcome,) = run_cases([Case("text", 1)], formats, tmp_path)
    assert (outcome.what, "SIGXCPU" in outcome.why) == ("other", True), outcome


def test_a_case_is_the_same_whenever_it_is_made():
    content = bytes(range(256)) * 40
    first = [mutated(content, random.Random(f"png {seed}")) for seed in range(50)]
    assert first == [mutated(content, random.Random(f"png {seed}")) for seed in range(50)]
    assert len({changed for changed, _ in first}) > 40
