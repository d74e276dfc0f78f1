import numpy as np
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.dataset import BScanDataset, collate, with_mask
from retseg.data.transforms import crop
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask, trace_surfaces


class Source:
    """Scans from a dict, counting how often each is read."""

    name, label_origin, notices = "made up", "exact", ()

    def __init__(self, scans):
        self.scans = {scan.key: scan for scan in scans}
        self.reads = 0

    @property
    def keys(self):
        return tuple(sorted(self.scans))

    def read(self, key):
        self.reads += 1
        return self.scans[key]


def scan(number, height=20, width=30, **fields):
    rows = (4 + np.arange(8)[:, None] + np.zeros(width)).astype(np.float32)
    fields = {"surface_rows": rows, "spacing": Spacing(4.0, 10.0, "user")} | fields
    return BScan(ScanKey(1, f"s{number:02d}", 0), np.full((height, width), 51, np.uint8), **fields)


def test_item_has_the_shapes_types_and_pixel_size_of_a_batch():
    item = BScanDataset(Source([scan(1)]), [scan(1).key], size=(10, 60))[0]
    assert item["image"].shape == (1, 10, 60)
    assert item["image"].dtype == torch.float32
    assert item["image"].mean().item() == pytest.approx(0.2)
    assert item["mask"].shape == (10, 60)
    assert item["mask"].dtype == torch.int64
    assert item["spacing_um"].tolist() == [8.0, 5.0]
    assert (item["subject"], item["name"]) == ("s01", "s01_b00_g1")


def test_unknown_spacing_is_nan():
    source = Source([scan(1, spacing=Spacing())])
    assert BScanDataset(source, source.keys)[0]["spacing_um"].isnan().all()


def test_each_scan_is_read_once_unless_told_otherwise():
    source = Source([scan(1)])
    kept, fresh = BScanDataset(source, source.keys), BScanDataset(source, source.keys, cache=False)
    for _ in range(3):
        assert torch.equal(kept[0]["mask"], fresh[0]["mask"])
    assert source.reads == 1 + 3


def test_collate_pads_unlike_sizes_with_pixels_that_nobody_annotated():
    source = Source([scan(1, 20, 30), scan(2, 16, 40)])
    dataset = BScanDataset(source, source.keys)
    batch = collate([dataset[0], dataset[1]])
    assert batch["image"].shape == (2, 1, 20, 40)
    assert (batch["mask"][0, :, 30:] == IGNORE).all()
    assert (batch["mask"][1, 16:] == IGNORE).all()
    assert torch.equal(batch["mask"][0, :, :30], dataset[0]["mask"])
    assert batch["name"] == ["s01_b00_g1", "s02_b00_g1"]


def test_a_mask_of_the_source_is_taken_as_it_is():
    mask = np.full((20, 30), 3, np.int8)
    assert with_mask(scan(1, surface_rows=None, mask=mask)).mask is mask


def test_refuses_labels_outside_the_classes_and_scans_without_any():
    source = Source([scan(1, mask=np.full((20, 30), 9, np.int8)), scan(2, surface_rows=None)])
    dataset = BScanDataset(source, source.keys)
    with pytest.raises(InputError, match=r"s01_b00_g1: label 9, expected 0\.\.7"):
        dataset[0]
    with pytest.raises(InputError, match="s02_b00_g1: no surfaces and no mask"):
        dataset[1]


def test_items_hold_no_more_than_a_mask_unless_asked():
    source = Source([scan(1, fluid=np.ones((20, 30), bool))])
    assert set(BScanDataset(source, source.keys)[0]) == {"image", "mask", "spacing_um", "subject", "name"}


def test_surfaces_and_fluid_come_on_the_grid_of_the_item():
    fluid = np.zeros((20, 30), bool)
    fluid[4:8, 10:20] = True
    source = Source([scan(1, fluid=fluid)])
    item = BScanDataset(source, source.keys, size=(10, 60), targets=["surface_rows", "fluid"])[0]
    assert item["surface_rows"].shape == (8, 60)
    assert item["surface_rows"].dtype == torch.float32
    assert item["surface_rows"][:, 30].tolist() == [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5]
    assert item["fluid"].dtype == torch.int64
    expected = torch.zeros(10, 60, dtype=torch.int64)
    expected[2:4, 20:40] = 1
    assert torch.equal(item["fluid"], expected)


@pytest.mark.parametrize("size", [(64, 48), (300, 70), (216, 50)])
@pytest.mark.parametrize("window", [None, (30, 5, 150, 40)])
def test_mask_surfaces_and_fluid_stay_in_register_through_crop_and_resize(size, window):
    rows = (np.linspace(70, 90, 50) + 12 * np.arange(8)[:, None]).astype(np.float32)
    mask = paint_mask(rows, 216)
    source = Source([scan(1, 216, 50, surface_rows=rows, fluid=mask == 5)])
    cropped = None if window is None else (lambda s: crop(s, *window))
    item = BScanDataset(source, source.keys, size, cropped, targets=["surface_rows", "fluid"])[0]
    assert torch.equal(item["fluid"], (item["mask"] == 5).long())
    off = trace_surfaces(item["mask"].numpy()) - item["surface_rows"].numpy()
    rounded = (
        0.5 * size[0] / (216 if window is None else 150) + 0.5
    )  # painting on the scan's grid, then nearest on ours
    assert np.abs(off).max() <= rounded + 0.25, "a quarter: half of what a surface rises from column to column"
    assert np.mean(off) == pytest.approx(0, abs=0.2)


def test_surfaces_of_a_source_that_has_masks_alone_are_traced_before_the_resize():
    mask = paint_mask((5 + np.arange(8)[:, None] + np.zeros(30)).astype(np.float32), 20)
    source = Source([scan(1, surface_rows=None, mask=mask)])
    item = BScanDataset(source, source.keys, size=(10, 30), targets=["surface_rows"])[0]
    assert item["surface_rows"][:, 7].tolist() == [2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0]


def test_unknown_surfaces_are_nan_and_fluid_that_nobody_looked_for_is_ignored():
    rows = (4 + np.arange(8)[:, None] + np.zeros(30)).astype(np.float32)
    rows[2, 5] = np.nan
    source = Source([scan(1, surface_rows=rows)])
    item = BScanDataset(source, source.keys, targets=["surface_rows", "fluid"])[0]
    assert item["surface_rows"].isnan().nonzero().tolist() == [[2, 5]]
    assert (item["fluid"] == IGNORE).all()


def test_columns_that_nobody_annotated_say_nothing_of_fluid():
    rows = np.full((8, 4), 3.0, np.float32)
    rows[:, 1:3] = np.nan
    fluid = np.zeros((20, 4), bool)
    fluid[5, 2:] = True
    source = Source([scan(1, 20, 4, surface_rows=rows, fluid=fluid)])
    item = BScanDataset(source, source.keys, targets=["fluid"])[0]
    assert item["fluid"][5].tolist() == [0, IGNORE, 1, 1]
    assert item["fluid"][6].tolist() == [0, IGNORE, 0, 0]


def test_collate_pads_surfaces_and_fluid_with_what_nobody_knows():
    source = Source([scan(1, 20, 30), scan(2, 16, 40, fluid=np.zeros((16, 40), bool))])
    dataset = BScanDataset(source, source.keys, targets=["surface_rows", "fluid"])
    batch = collate([dataset[0], dataset[1]])
    assert batch["surface_rows"].shape == (2, 8, 40)
    assert batch["surface_rows"][0, :, 30:].isnan().all()
    assert batch["surface_rows"][0, :, :30].isfinite().all()
    assert batch["fluid"].shape == (2, 20, 40)
    assert (batch["fluid"][1, 16:] == IGNORE).all()
    assert (batch["fluid"][1, :16] == 0).all()
