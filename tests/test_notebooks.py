"""The notebooks run from top to bottom, hold no outputs, and their numbers are those of the scans that they name."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from retseg.anatomy import LAYER_NAMES

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
MAGIC = "%matplotlib inline\n"


def _cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def _run(path: Path) -> tuple[dict[str, Any], list[Any]]:
    """The names after all code cells, run one after another as a kernel does, and what each cell would show."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in _cells(path, "code"):
        tree = ast.parse("".join(cell["source"]).removeprefix(MAGIC))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), cell["id"], "eval"), names))
    return names, shown


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs_and_their_links_lead_somewhere(path: Path) -> None:
    notebook = json.loads(path.read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in _cells(path, "code"))
    text = "".join("".join(cell["source"]) for cell in _cells(path, "markdown"))
    targets = re.findall(r"\]\(([^)]+)\)", text)
    assert targets
    assert [target for target in targets if not (NOTEBOOKS / target).is_file()] == []


def test_first_steps_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names, shown = _run(NOTEBOOKS / "first_steps.ipynb")
    num_axes = [len(each.axes) for each in shown if isinstance(each, Figure)]
    assert len(num_axes) == 4
    assert num_axes[0] == 4, "scan, truth, prediction, errors"
    assert num_axes[2] >= 2 * 9, "two layers of the network: the input and eight classes each"

    tables = [each for each in shown if isinstance(each, pd.DataFrame)]
    thickness, dice, surfaces, maps, of_run = tables
    true_um = np.diff(names["scan"].surface_rows.astype(float), axis=0).mean(axis=1) * 3.87
    np.testing.assert_allclose(thickness["true, um"][:7], true_um, atol=0.06)
    assert list(dice.index) == list(LAYER_NAMES)
    assert (dice.iloc[:, 0] > 0.6).all()
    assert (surfaces["mean_absolute"] < 20).all()
    assert surfaces["signed"].abs().le(surfaces["mean_absolute"]).all()
    assert maps["repeats"].any()
    assert not maps["repeats"].all()
    assert [f"dice/{name}" in of_run.index for name in LAYER_NAMES] == [True] * 7
    assert not names["RUN"].exists()
    assert list(tmp_path.iterdir()) == []
