import numpy as np
import pytest

from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.shuffled import ShuffledLabels
from retseg.data.transforms import crop
from retseg.errors import InputError

PHANTOM = PhantomSource(num_subjects=3, bscans_per_subject=2, height=64, width=48)


def test_every_scan_keeps_its_pixels_and_gets_the_labels_of_another():
    shuffled = ShuffledLabels(PHANTOM, seed=1)
    assert sorted(shuffled.partner.values()) == sorted(PHANTOM.keys) == sorted(shuffled.keys)
    for key, other in shuffled.partner.items():
        assert key != other
        scan = shuffled.read(key)
        assert np.array_equal(scan.image, PHANTOM.read(key).image)
        assert np.array_equal(scan.surface_rows, PHANTOM.read(other).surface_rows)
        assert not np.array_equal(scan.surface_rows, PHANTOM.read(key).surface_rows)
    assert shuffled.label_origin == "shuffled"


def test_a_seed_gives_one_order_and_another_seed_another():
    assert ShuffledLabels(PHANTOM, 1).partner == ShuffledLabels(PHANTOM, 1).partner
    assert ShuffledLabels(PHANTOM, 1).partner != ShuffledLabels(PHANTOM, 2).partner


def test_scans_of_unlike_size_are_refused():
    class Unlike:
        name, label_origin, notices, keys = "unlike", "exact", (), PHANTOM.keys[:2]

        def read(self, key):
            scan = PHANTOM.read(key)
            return scan if key == self.keys[0] else crop(scan, 0, 0, 50, 48)

    expected = r"s01_b\d\d.*: \(64, 48\) pixels, and the scan whose labels it would get \(.*\) has \(50, 48\)"
    with pytest.raises(InputError, match=expected):
        ShuffledLabels(Unlike()).read(PHANTOM.keys[0])


def test_one_scan_alone_is_refused():
    with pytest.raises(InputError, match="phantom: 1 scan, expected at least 2"):
        ShuffledLabels(PhantomSource(num_subjects=1, bscans_per_subject=1, height=64, width=48))
