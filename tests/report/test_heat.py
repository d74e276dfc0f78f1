import shutil

import numpy as np
import pytest

from retseg.errors import InputError
from retseg.report.heat import heat_panels, heat_png, names_of_tests, summary_rows
from tests.report.conftest import read
from tests.report.drawn_run import SCANS, draw_run, write_explanation
from tests.report.test_scans import pixels


def test_verdicts_stand_beside_what_repeats(full_run):
    (run,) = read(full_run)
    last, deep = summary_rows(run.explained)
    assert (last.share, last.is_redundant, last.faithful, last.sane, last.stable) == (1, True, "no", "yes", "yes")
    assert (deep.share, deep.is_redundant) == (0, False)
    assert names_of_tests(run.explained) == "left-right flip"


def test_untested_maps_have_no_verdict(tmp_path):
    folder = draw_run(tmp_path / "run", parts=())
    write_explanation(folder, is_tested=False)
    (run,) = read(folder)
    assert [(row.faithful, row.sane, row.stable) for row in summary_rows(run.explained)] == [("", "", "")] * 2


def test_a_panel_has_every_class_at_every_layer(full_run):
    (panel,) = heat_panels(read(full_run)[0], ["no such scan"], with_pixels=True)
    assert (panel.scan, panel.method, panel.aspect) == (SCANS[0], "gradcam", pytest.approx(36 / 24))
    assert len(panel.maps) == 16
    by_place = {(one.layer, one.class_name): one for one in panel.maps}
    assert by_place["last", "INL"].repeats
    assert by_place["last", "INL"].remark == "repeats the prediction"
    assert by_place["deep", "background"].uri == ""
    assert by_place["deep", "background"].remark == "no heat at all"
    assert heat_panels(read(full_run)[0], [], with_pixels=False)[0].pixels == ""


def test_hotter_is_brighter_and_less_clear_and_no_heat_is_clear():
    found = pixels(heat_png(np.array([[0, 0.25, 0.5, 1]], np.float32)))[0].astype(int)
    assert found[0, 3] == 0
    assert (np.diff(found[:, 3]) > 0).all()
    assert (np.diff(found[1:, :3].sum(axis=1)) > 0).all()
    assert found[3, 3] == 255


def test_large_maps_are_made_smaller_by_means():
    heat = np.zeros((256, 258), np.float32)
    heat[:, :129] = 1
    found = pixels(heat_png(heat))
    assert found.shape[:2] == (85, 86)
    assert (found[:, :43, 3] == 255).all()
    assert (found[:, 43:, 3] == 0).all()


def test_a_damaged_file_is_named(tmp_path, full_run):
    folder = shutil.copytree(full_run, tmp_path / "run")
    np.savez(folder / "explanation" / "maps" / f"{SCANS[0]}.npz", image=np.zeros((2, 2)))
    with pytest.raises(InputError, match=rf"{SCANS[0]}\.npz: not what `retseg explain` saves .*; run it again"):
        heat_panels(read(folder)[0], [], with_pixels=True)
