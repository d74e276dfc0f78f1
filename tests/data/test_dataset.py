import numpy as np
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.bscan import BScan, ScanKey, Spacing
from retseg.data.dataset import BScanDataset, collate, with_mask
from retseg.errors import InputError


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
