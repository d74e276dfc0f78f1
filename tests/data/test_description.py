"""Two scans of 5 x 3 and 6 x 2 pixels whose every number is known.

Subject a, 4 um a row. Column 0: vitreous, then layers of 1, 1, 0, 0, 1, 0, 1 rows. Column 1: nothing known.
Column 2: ILM and NFL/GCL known alone, the NFL 2 rows thick.
"""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.description import describe

NAN = np.nan


class Source:
    name, label_origin, notices = "made up", "exact", ("one note",)

    def __init__(self, *scans):
        self.scans = {scan.key: scan for scan in scans}
        self.read_names = []

    @property
    def keys(self):
        return tuple(sorted(self.scans))

    def read(self, key):
        self.read_names.append(key.name)
        return self.scans[key]


def scan_with_surfaces(grader=1, **changes):
    rows = np.full((8, 3), NAN, np.float32)
    rows[:, 0] = [1, 2, 3, 3, 3, 4, 4, 5]
    rows[:2, 2] = [0, 2]
    image = np.array([[0, 255, 10], [20, 255, 20], [40, 255, 0], [60, 255, 0], [80, 255, 0]], np.uint8)
    fields = {"surface_rows": rows, "fluid": np.zeros((5, 3), bool), "spacing": Spacing(4.0, 10.0, "user"), "eye": "OD"}
    return BScan(ScanKey(grader, "a", 3), image, **(fields | changes))


def scan_with_mask():
    mask = np.array([[0, 0], [0, 0], [0, 7], [7, 7], [0, 0], [0, 0]], np.int8)
    image = np.full((6, 2), 0.25, np.float32)
    image[mask == 7] = 100.5
    return BScan(ScanKey(1, "b", 0), image, mask=mask)


@pytest.fixture
def both():
    return describe(Source(scan_with_surfaces(), scan_with_mask()))


def pixels(group):
    return {c.name: c.num_pixels for c in group.classes}


def test_what_is_counted_by_kind(both):
    assert (both.name, both.label_origin, both.notices) == ("made up", "exact", ("one note",))
    assert (both.overall.num_scans, both.overall.num_bscans, [s.name for s in both.subjects]) == (2, 2, ["a", "b"])
    assert both.graders == {"1": 2}
    assert both.eyes == {"OD": 1, "unknown": 1}
    assert both.image_shapes == {"5 x 3": 1, "6 x 2": 1}
    assert both.image_dtypes == {"uint8": 1, "float32": 1}
    assert both.labels_from == {"surfaces": 1, "mask": 1}
    assert [(s.axial_um, s.lateral_um, s.source, s.num_scans) for s in both.spacings] == [
        (4.0, 10.0, "user", 1),
        (None, None, "unknown", 1),
    ]


def test_class_balance_leaves_out_what_nobody_annotated(both):
    """Scan a: column 0 has background and four layers of a row; column 2 two rows of NFL, the rest unknown."""
    a, b = both.subjects
    expected = {"background": 1, "NFL": 3, "GCL-IPL": 1, "INL": 0, "OPL": 0, "ONL-ISM": 1, "ISE": 0, "OS-RPE": 1}
    assert pixels(a) == expected
    assert (a.not_annotated.num_pixels, a.not_annotated.share) == (8, 8 / 15)
    assert pixels(b) == dict.fromkeys(expected, 0) | {"background": 9, "OS-RPE": 3}
    assert both.labels == {"-1": 8, "0": 10, "1": 3, "2": 1, "5": 1, "7": 4}
    background, nfl = both.overall.classes[:2]
    assert (background.share, background.share_of_layers) == (10 / 19, None)
    assert (nfl.share, nfl.share_of_layers) == (3 / 19, 3 / 9)
    assert both.overall.not_annotated.share == 8 / 27


def test_gray_levels_overall_and_by_class(both):
    a, b = both.subjects
    values = scan_with_surfaces().image.ravel()
    assert (a.gray.num_pixels, a.gray.lowest, a.gray.highest) == (15, 0, 255)
    assert (a.gray.mean, a.gray.sd) == (pytest.approx(values.mean()), pytest.approx(values.std()))
    assert (a.gray.share_of_0, a.gray.share_of_255) == (4 / 15, 5 / 15)
    nfl, inl = a.classes[1], a.classes[3]
    assert (nfl.gray_mean, nfl.gray_sd) == (pytest.approx(50 / 3), pytest.approx(np.std([20, 10, 20])))
    assert (inl.share, inl.gray_mean, inl.gray_sd) == (0, None, None)
    assert b.gray.share_of_0 == 0  # 0.25 is not exactly 0
    assert (b.classes[7].gray_mean, b.classes[7].gray_sd) == (100.5, 0)


def test_gray_histograms_are_of_rounded_levels(both):
    histograms = {name: np.array(counts) for name, counts in both.gray_histograms.items()}
    assert all(len(counts) == 256 for counts in histograms.values())
    assert histograms["all"].sum() == 27
    assert {level: n for level, n in enumerate(histograms["NFL"].tolist()) if n} == {10: 1, 20: 2}
    assert {level: n for level, n in enumerate(histograms["background"].tolist()) if n} == {0: 10}
    assert histograms["OS-RPE"][100] == 3
    assert histograms["not annotated"][255] == 5


def test_thickness_of_columns_where_both_surfaces_are_known(both):
    nfl, gcl_ipl, inl = both.overall.thickness[:3]
    assert (nfl.layer, nfl.num_columns, nfl.mean_px, nfl.mean_um) == ("NFL", 2, 1.5, 6.0)
    assert (nfl.p05_um, nfl.p95_um) == (pytest.approx(4.2), pytest.approx(7.8))  # linear between 4 and 8 um
    assert (gcl_ipl.num_columns, gcl_ipl.mean_um) == (1, 4.0)
    assert (inl.num_columns, inl.mean_px) == (1, 0.0)
    assert both.subjects[1].thickness[0].mean_px is None


def test_crossing_surfaces_have_no_thickness():
    rows = scan_with_surfaces().surface_rows.copy()
    rows[1, 0] = 0  # above the ILM in row 1
    nfl = describe(Source(scan_with_surfaces(surface_rows=rows))).overall.thickness[0]
    assert (nfl.num_columns, nfl.mean_px) == (1, 2.0)


def test_unknown_pixel_size_leaves_pixels_alone():
    nfl = describe(Source(scan_with_surfaces(spacing=Spacing()))).overall.thickness[0]
    assert (nfl.mean_px, nfl.mean_um, nfl.p05_um) == (1.5, None, None)


def test_fluid_counts_scans_in_which_somebody_looked(both):
    assert (both.overall.num_scans_looked_at_for_fluid, both.overall.num_scans_with_fluid) == (1, 0)
    found = describe(Source(scan_with_surfaces(fluid=np.eye(5, 3, dtype=bool))))
    assert found.subjects[0].num_scans_with_fluid == 1


def test_two_graders_share_one_image_and_count_twice_as_masks():
    one, both = describe(Source(scan_with_surfaces())), Source(scan_with_surfaces(), scan_with_surfaces(grader=2))
    two = describe(both)
    assert (two.overall.num_scans, two.overall.num_bscans, two.graders) == (2, 1, {"1": 1, "2": 1})
    assert two.overall.gray == one.overall.gray
    assert two.image_shapes == {"5 x 3": 1}
    assert two.eyes == {"OD": 1}
    assert pixels(two.overall)["NFL"] == 2 * pixels(one.overall)["NFL"]
    assert two.overall.classes[1].share == one.overall.classes[1].share
    assert two.notices == ("one note",)


def test_graders_with_unlike_pixels_are_told():
    other = scan_with_surfaces(grader=2)
    two = describe(Source(scan_with_surfaces(), replace(other, image=other.image // 2)))
    assert two.notices[1] == "1 scans have other pixels than the same B-scan of the grader before"
    assert two.overall.gray.num_pixels == 30


def test_a_scan_without_labels_is_not_annotated():
    described = describe(Source(scan_with_surfaces(surface_rows=None, fluid=None)))
    assert described.labels_from == {"nothing": 1}
    assert described.labels == {"-1": 15}
    assert described.overall.not_annotated.share == 1
    assert described.overall.classes[0].share is None


def test_each_scan_is_read_once_subject_by_subject_and_progress_says_so():
    source, said = Source(scan_with_mask(), scan_with_surfaces(2), scan_with_surfaces(1)), []
    describe(source, lambda done, total: said.append((done, total)))
    assert source.read_names == ["a_b03_g1", "a_b03_g2", "b_b00_g1"]
    assert said == [(1, 3), (2, 3), (3, 3)]


def test_a_description_is_plain_json(both):
    assert json.loads(json.dumps(asdict(both), allow_nan=False))["labels"]["7"] == 4
