"""The model of corrections (surfaces.js) by itself, on surfaces that are worked out by hand."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from retseg.geometry.surfaces import paint_mask
from retseg.inference.network import ScanNetwork
from tests.view.served import live_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(network: ScanNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with live_server([network], tmp_path_factory.mktemp("dropped")) as (address, _):
        yield address


@pytest.fixture
def on_page(page: "Page", address: str) -> Callable[..., Any]:
    """Runs a script with `of(rows, numRows)`, a new model, and what is `given`."""
    page.goto(address)

    def run(script: str, given: Any = None) -> Any:
        head = "const { Surfaces } = await import('./surfaces.js'); const of = (r, n) => new Surfaces(r, n);"
        return page.evaluate(f"async (given) => {{ {head} {script} }}", given)

    return run


THREE = "[[5, 5, 5, 5, 5], [8, 8, 8, 8, 8], [20, 20, 20, 20, 20]]"


def test_a_move_takes_its_neighbourhood_along_smoothly(on_page: Callable[..., Any]):
    rows = on_page(f"const s = of({THREE}, 30); s.begin(); s.moveTo(2, 2, 12, 2, false); s.end(); return s.toJSON()")
    # shares (1 - (d / 2)^2)^2: 1 in the column, 0.5625 beside it, 0 at the reach
    assert rows[2] == [20, 20 - 8 * 0.5625, 12, 20 - 8 * 0.5625, 20]
    assert rows[:2] == [[5] * 5, [8] * 5]


def test_a_surface_stops_at_its_neighbours_or_takes_them_along(on_page: Callable[..., Any]):
    move = f"const s = of({THREE}, 30); s.begin(); s.moveTo(1, 2, ROW, 0, PUSH); s.end(); return s.toJSON()"
    stopped = on_page(move.replace("ROW", "2").replace("PUSH", "false"))
    assert [one[2] for one in stopped] == [5, 5, 20]
    pushed = on_page(move.replace("ROW", "2").replace("PUSH", "true"))
    assert [one[2] for one in pushed] == [2, 2, 20]
    down = on_page(move.replace("ROW", "25").replace("PUSH", "true"))
    assert [one[2] for one in down] == [5, 25, 25]


@pytest.mark.parametrize(("surface", "row", "ends"), [(0, -9, 0), (2, 99, 30)])
def test_a_surface_stays_in_the_scan(on_page: Callable[..., Any], surface: int, row: int, ends: int):
    script = (
        f"const s = of({THREE}, 30); s.begin(); s.moveTo({surface}, 2, {row}, 0, false); s.end(); return s.toJSON()"
    )
    assert on_page(script)[surface][2] == ends


def test_columns_without_surfaces_stay_without(on_page: Callable[..., Any]):
    script = (
        "const s = of([[5, null, 5], [8, null, 8]], 30); s.begin(); s.moveTo(1, 0, 11, 9, true); s.end(); "
        "s.begin(); s.moveTo(1, 1, 20, 9, true); return [s.end(), s.toJSON(), s.classAt(1, 3), s.nearest(1, 5, 99)]"
    )
    is_step, rows, id_, nearest = on_page(script)
    assert rows[0] == [5, None, 5]
    assert rows[1][1] is None
    assert (is_step, id_, nearest) == (False, None, -1)


def test_undo_and_redo_go_step_by_step(on_page: Callable[..., Any]):
    script = f"""const s = of({THREE}, 30), seen = [];
      s.nudge(0, 2, 1, 0, false); s.nudge(0, 2, 1, 0, false);
      const note = () => seen.push(s.rows[0][2]);
      note(); s.undo(); note(); s.undo(); note(); s.undo(); note(); s.redo(); note(); s.nudge(0, 2, -1, 0, false);
      s.redo(); note(); s.reset(); note(); s.undo(); note(); return [seen, s.canRedo, s.canUndo]"""
    assert on_page(script) == [[7, 6, 5, 5, 6, 5, 5, 6], True, True]  # reset moved nothing: no step


def test_random_drags_never_cross_and_paint_as_the_mask(on_page: Callable[..., Any]):
    rng = np.random.default_rng(0)
    rows = np.sort(rng.uniform(0, 40, (8, 30)), axis=0)
    moves = [
        [
            int(rng.integers(8)),
            int(rng.integers(30)),
            float(rng.uniform(-5, 45)),
            int(rng.integers(12)),
            bool(rng.integers(2)),
        ]
        for _ in range(60)
    ]
    script = """const s = of(given.rows, 40), kept = [];
      for (const [k, ...move] of given.moves) { s.begin(); s.moveTo(k, ...move); s.end(); kept.push(s.toJSON()); }
      const ids = []; for (let y = 0; y < 40; y++) for (let x = 0; x < 30; x++) ids.push(s.classAt(x, y));
      return [kept, ids, s.rows.map((one) => Array.from(one))]"""
    kept, ids, last = on_page(script, {"rows": rows.tolist(), "moves": moves})
    for step in kept:
        table = np.array(step)
        assert (np.diff(table, axis=0) >= 0).all()
        assert table.min() >= 0
        assert table.max() <= 40
    np.testing.assert_array_equal(np.array(ids).reshape(40, 30), paint_mask(np.array(last), 40))


def test_rows_halfway_are_painted_as_the_mask_paints_them(on_page: Callable[..., Any]):
    rows = np.array([[0.5], [1.5], [2.5], [3.5], [4.5], [5.5], [6.5], [7.5]])
    ids = on_page("const s = of(given, 10); return [...Array(10).keys()].map((y) => s.classAt(0, y))", rows.tolist())
    np.testing.assert_array_equal(ids, paint_mask(rows, 10)[:, 0])
