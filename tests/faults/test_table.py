"""docs/faults.md: every fault has a test that exists, or a reason why it does not apply."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = ("Data files", "Download", "Configuration", "Training", "Checkpoints", "Prediction and sweeps")
COLUMNS = ["what goes wrong", "what retseg does", "test"]
NO_TEST = "does not apply: "
_NODE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def tables() -> dict[str, list[list[str]]]:
    """Cells of each row, by section."""
    found: dict[str, list[list[str]]] = {}
    for part in (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").split("\n## ")[1:]:
        title, *lines = part.splitlines()
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
        assert rows[0] == COLUMNS, title
        assert all(set(cell) <= set("-: ") for cell in rows[1]), title
        found[title] = rows[2:]
    return found


@cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    names = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return frozenset(name for name in names if name.startswith("test_"))


def problem(row: list[str]) -> str | None:
    """What is wrong with a row, None if nothing is."""
    if len(row) != len(COLUMNS) or not all(row):
        return "not three cells with something in them"
    if row[2].startswith(NO_TEST):
        return None if len(row[2]) > len(NO_TEST) + 10 else "no reason"
    nodes = _NODE.findall(row[2])
    if not nodes or _NODE.sub("", row[2]).strip(" ,"):
        return f"names no tests as `tests/file.py::test_name`, parted by commas: {row[2]}"
    missing = [f"{path}::{name}" for path, name in nodes if not (ROOT / path).is_file() or name not in names_in(path)]
    return f"no such test: {', '.join(missing)}" if missing else None


def test_every_section_is_there_in_its_order_with_rows_of_its_own():
    found = tables()
    assert tuple(found) == SECTIONS
    assert [title for title, rows in found.items() if not rows] == []


def test_no_fault_stands_there_twice():
    faults = [row[0] for rows in tables().values() for row in rows]
    assert sorted(set(faults)) == sorted(faults)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_row_names_a_test_that_exists_or_a_reason(section):
    wrong = {row[0]: what for row in tables()[section] if (what := problem(row)) is not None}
    assert wrong == {}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (["a", "b"], "not three cells"),
        (["a", "", "`tests/faults/test_table.py::test_no_fault_stands_there_twice`"], "not three cells"),
        (["a", "b", "`tests/faults/test_table.py::test_gone`"], "no such test: tests/faults/test_table.py::test_gone"),
        (["a", "b", "`tests/faults/test_gone.py::test_gone`"], "no such test"),
        (["a", "b", "tests/faults/test_table.py"], "names no tests"),
        (["a", "b", "does not apply: "], "no reason"),
        (["a", "b", "does not apply: nothing of the kind is written"], None),
        (["a", "b", "`tests/faults/test_table.py::test_no_fault_stands_there_twice`"], None),
    ],
)
def test_what_is_wrong_with_a_row_is_seen(row, said):
    found = problem(row)
    assert (found is None) if said is None else (found is not None and said in found)
