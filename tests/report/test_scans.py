from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from retseg.anatomy import IGNORE
from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.report.colours import ADDED, MISSED, NOT_ANNOTATED
from retseg.report.images import gray_webp, indexed_png
from retseg.report.scans import choose_scans, planes, shown_scans
from tests.report.conftest import read
from tests.report.drawn_run import COLUMNS, ROWS, SCANS, draw_run, drawn_case


def pixels(uri):
    """(H, W, 4) of a data URI."""
    return np.asarray(Image.open(BytesIO(b64decode(uri.partition(",")[2]))).convert("RGBA"))


def test_an_indexed_picture_is_what_it_was_made_of():
    indices = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    found = pixels(indexed_png(indices, [(0, 0, 0), (9, 8, 7), (255, 0, 3)], [0, 255, 128]))
    assert found[0].tolist() == [[0, 0, 0, 0], [9, 8, 7, 255], [255, 0, 3, 128]]
    assert (found[1] == found[0][::-1]).all()


def test_gray_levels_are_close_to_the_scan():
    image = np.tile(np.linspace(0, 255, 40, dtype=np.uint8), (20, 1))
    found = pixels(gray_webp(image))[..., :3].astype(int)
    assert found.shape == (20, 40, 3)
    assert np.abs(found.mean(axis=2) - image).mean() < 4


def test_worst_middle_and_best_each_once(full_run):
    (run,) = read(full_run)
    assert choose_scans(run, 1) == {SCANS[3]: "worst", SCANS[2]: "median", SCANS[0]: "best"}
    assert list(choose_scans(run, 2)) == [SCANS[3], SCANS[2], SCANS[1], SCANS[0]]
    assert set(choose_scans(run, 9)) == set(SCANS)


def test_scans_of_two_runs_stand_beside_each_other_worst_first(full_run, tmp_path):
    other = draw_run(tmp_path / "other", has_second=False, spacing=Spacing())
    shown = shown_scans(read(full_run, other), 1, with_pixels=True)
    expected = {SCANS[3]: "worst of A, worst of B", SCANS[2]: "median of A, median of B"}
    assert {one.scan: one.why for one in shown} == expected | {SCANS[0]: "best of A, best of B"}
    assert [one.scan for one in shown] == [SCANS[3], SCANS[2], SCANS[0]]
    first, second = shown[0].panels
    assert (first.place, first.unit, first.kinds) == ("1 of 4 from the worst", "µm",
                                                      ["prediction", "truth", "second", "difference"])  # fmt: skip
    assert first.scale == "24 x 36 px, 4 x 10 µm a pixel"
    assert (second.unit, second.kinds) == ("px", ["prediction", "truth", "difference"])
    assert second.scale == "24 x 36 px, scale unknown"
    assert [score.error for score in first.scores] == ["12.0"] * 7
    assert [score.error for score in second.scores] == ["3.0"] * 7


def test_pixels_can_be_left_out(full_run):
    runs = read(full_run)
    assert shown_scans(runs, 1, with_pixels=True)[0].panels[0].pixels.startswith("data:image/webp;base64,")
    assert [panel.pixels for one in shown_scans(runs, 1, with_pixels=False) for panel in one.panels] == ["", "", ""]


def test_planes_show_the_pixels_that_they_are_named_for():
    case = drawn_case(1, Spacing(), has_second=False)
    made = {(plane.kind, plane.layer): (plane, pixels(plane.uri)) for plane in planes(case)}
    truth, found = case.truth.mask, case.prediction.mask
    assert (made["truth", "3"][1][..., 3] > 0).tolist() == (truth == 3).tolist()
    assert (made["prediction", "3"][1][..., 3] > 0).tolist() == (found == 3).tolist()
    is_known = (truth != IGNORE) & (found != IGNORE)
    wrong = made["difference", "every"][1][..., 3] > 0
    assert wrong.tolist() == (is_known & (truth != found)).tolist()
    assert wrong.sum() == 8 * (COLUMNS - 2)  # each of 8 surfaces is one row off, in all annotated columns
    change = made["difference", "3"][1]
    column = [tuple(pixel[:3]) for pixel in change[:, 5] if pixel[3]]
    assert column == [MISSED, ADDED]  # INL is rows 8 and 9, and is found in rows 9 and 10
    assert [made[key][0].is_whole for key in (("truth", "3"), ("difference", "every"), ("difference", "3"))] == [
        1,
        1,
        0,
    ]


def test_edges_lie_where_the_class_changes_and_hatching_where_nobody_annotated():
    case = drawn_case(0, Spacing(), has_second=False)
    made = {(plane.kind, plane.layer): pixels(plane.uri) for plane in planes(case)}
    edges = made["truth", "every"][..., 3] > 0
    assert np.flatnonzero(edges[:, 9]).tolist() == [4, 6, 8, 10, 12, 15, 17, 19]
    assert not edges[:, :2].any()
    hatched = made["truth", ""]
    is_on = hatched[..., 3] > 0
    assert 0.2 < is_on[:, :2].mean() < 0.5
    assert not is_on[:, 2:].any()
    assert tuple(hatched[is_on][0][:3]) == NOT_ANNOTATED
    assert hatched.shape == (ROWS, COLUMNS, 4)


def test_a_missing_scan_is_named(tmp_path):
    folder = draw_run(tmp_path / "run")
    (folder / "evaluation" / "truth" / f"{SCANS[3]}.npz").unlink()
    with pytest.raises(InputError, match=rf"truth/{SCANS[3]}\.npz: no such file; make it again"):
        shown_scans(read(folder), 1, with_pixels=True)
