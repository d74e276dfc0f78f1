"""What the tests of sources share: files in the layout of the official Duke set, an HDF5 file, the phantom's scans."""

import time
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from retseg.bscan import BScan
from retseg.data.source import ScanSource
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.errors import InputError
from retseg.geometry.surfaces import paint_mask
from tests.data.sources.hand_made import NUM_COLUMNS, NUM_ROWS, Scans, scan

HEIGHT, WIDTH, NUM_BSCANS = 24, 40, 7


class DukeFiles:
    """Writes `Subject_XX.mat`: 24 rows, 40 columns, 7 B-scans.

    Grader 1 annotated B-scans 2 and 4, grader 2 B-scan 2 alone, in columns 5 to 34.
    """

    @staticmethod
    def arrays() -> dict[str, np.ndarray]:
        images = np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, NUM_BSCANS), np.uint8)
        layers = {1: np.full((8, WIDTH, NUM_BSCANS), np.nan), 2: np.full((8, WIDTH, NUM_BSCANS), np.nan)}
        fluid = {1: np.full(images.shape, np.nan), 2: np.full(images.shape, np.nan)}
        for grader, bscans in ((1, (2, 4)), (2, (2,))):
            for bscan in bscans:
                # 1-based rows 4, 6, .. 18 in B-scan 2, two lower in B-scan 4; grader 2 a quarter of a row lower
                rows = 4.0 + 2 * np.arange(8) + (bscan - 2) + 0.25 * (grader - 1)
                layers[grader][:, 5:35, bscan] = rows[:, None]
        fluid[1][:, :, 2] = 0
        fluid[1][9:12, 20:26, 2] = 3  # the third region
        return {
            "images": images,
            "manualLayers1": layers[1],
            "manualLayers2": layers[2],
            "manualFluid1": fluid[1],
            "manualFluid2": fluid[2],
        }

    def write(self, folder: Path, number: int = 1, **changes: object) -> Path:
        """A v5 file. A change replaces a variable; None leaves it out."""
        path = folder / f"Subject_{number:02d}.mat"
        arrays = {name: array for name, array in (self.arrays() | changes).items() if array is not None}
        scipy.io.savemat(path, arrays, do_compression=True)
        return path

    def write_v73(self, folder: Path, number: int = 1, userblock_bytes: int = 512) -> Path:
        """A v7.3 file as MATLAB lays it out: HDF5 behind a header of 512 bytes, axes reversed."""
        path = folder / f"Subject_{number:02d}.mat"
        with h5py.File(path, "w", userblock_size=userblock_bytes) as file:
            for name, array in self.arrays().items():
                dataset = file.create_dataset(name, data=array.T, compression="gzip")
                dataset.attrs["MATLAB_class"] = np.bytes_("uint8" if array.dtype == np.uint8 else "double")
        return path


@pytest.fixture
def duke_files() -> DukeFiles:
    return DukeFiles()


def duke_refusal(root: Path, **options: object) -> str:
    """The one line that says why a folder of Duke files is refused."""
    with pytest.raises(InputError) as caught:
        DukeSource(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def subject_file(tmp_path) -> Path:
    """One converted subject, to be spoilt."""
    rows = np.arange(8, dtype=np.float32)[:, None] + np.zeros((8, NUM_COLUMNS), np.float32)
    mask = np.ones((NUM_ROWS, NUM_COLUMNS), np.int8)
    (path,) = convert(Scans([scan(surface_rows=rows, mask=mask, fluid=mask > 0), scan(bscan=5)]), tmp_path / "h5")
    return path


class PhantomSet:
    """The 110 scans of the default phantom, stacked, with their masks."""

    def __init__(self) -> None:
        start = time.process_time()
        self.source = PhantomSource()
        self.scans = [self.source.read(key) for key in self.source.keys]
        self.cpu_seconds = time.process_time() - start
        self.images = np.stack([scan.image for scan in self.scans])  # (110, H, W)
        self.rows = np.stack([scan.surface_rows for scan in self.scans])  # (110, 8, W)
        self.fluid = np.stack([scan.fluid for scan in self.scans])
        self.masks = np.stack([paint_mask(rows, 216) for rows in self.rows])


@pytest.fixture(scope="package")
def phantom() -> PhantomSet:
    return PhantomSet()


def same_scan(scan: BScan, other: BScan) -> bool:
    """Whether two B-scans are equal in every field, dtypes and None included."""
    for name in ("image", "surface_rows", "mask", "fluid"):
        left, right = getattr(scan, name), getattr(other, name)
        if (left is None) != (right is None):
            return False
        if left is not None and not (
            left.dtype == right.dtype and np.array_equal(left, right, equal_nan=name != "fluid")
        ):
            return False
    return (scan.key, scan.spacing, scan.eye) == (other.key, other.spacing, other.eye)


@pytest.fixture
def assert_same_scans():
    def check(source: ScanSource, other: ScanSource) -> None:
        assert source.keys == other.keys
        for key in source.keys:
            assert same_scan(source.read(key), other.read(key)), key

    return check
