"""How each kind of file is read where nobody vouches for it, and the bounds that what is read has to keep."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES
from retseg.bscan import ScanKey, Spacing
from retseg.data.readers.find import find_scans
from retseg.data.readers.levels import LARGEST_PIXELS, SMALLEST
from retseg.data.sources.plain_images import PlainImages
from retseg.data.split_file import read_split_file
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.evaluation.label_volumes import read_label_volume
from retseg.evaluation.matching import read_subjects
from retseg.evaluation.output import read_metrics
from retseg.report.marks import read_marks

MOST_READ = 3
"""Scans of a file that are read; the last one is among them."""

KEYS = tuple(ScanKey(1, f"s{subject:02d}", bscan) for subject in (1, 2, 3) for bscan in (1, 2))


def _some(numbers: Any) -> list[Any]:
    return list(numbers)[: MOST_READ - 1] + list(numbers)[-1:]


def read_scans(path: Path) -> None:
    """As `retseg predict` reads: gray levels (H, W) 0..255."""
    found = find_scans([path])
    for _, line in found.failures:
        raise InputError(line)
    for volume in found.volumes:
        assert "\\" not in volume.name, volume.name
        assert not {"", ".", ".."} & set(volume.name.split("/")), volume.name
        assert 0 < len(volume.numbers) <= volume.num_bscans, volume.num_bscans
        _check_spacing(volume.spacing)
        assert volume.distance is None or 0 < volume.distance.um < np.inf, volume.distance
        for number in _some(volume.numbers):
            _check_image(volume.read(number).image)


def read_source(source: Callable[[Path], Any], path: Path) -> None:
    """As training reads: images, surfaces, masks and fluid that fit each other."""
    opened = source(path.parent)
    assert opened.keys
    for key in _some(opened.keys):
        scan = opened.read(key)
        assert scan.image.ndim == 2, scan.image.shape
        assert np.isfinite(scan.image).all(), key
        if scan.mask is not None:
            _check_mask(scan.mask)
            assert scan.mask.shape == scan.image.shape
        if scan.surface_rows is not None:
            assert scan.surface_rows.shape == (NUM_SURFACES, scan.image.shape[1])
            assert not np.isinf(scan.surface_rows).any()
        assert scan.fluid is None or scan.fluid.shape == scan.image.shape
        _check_spacing(scan.spacing)


def read_plain_image(path: Path) -> None:
    """As `retseg audit` reads a folder of images: numbers (H, W)."""
    images = PlainImages(path.parent)
    for _, image in images.read(set(range(len(images.names)))):
        assert image.ndim == 2, image.shape
        assert np.isfinite(image).all()


def read_label_file(path: Path) -> None:
    """As `retseg measure` reads; of a .json beside surfaces, those."""
    volume = read_label_volume(path if path.suffix != ".json" else path.with_suffix(".csv"))
    assert len(volume.scans) == len(volume.numbers) > 0
    for labels in volume.scans:
        assert labels.mask is not None or labels.surface_rows is not None
        if labels.mask is not None:
            _check_mask(labels.mask)
        if labels.surface_rows is not None:
            assert labels.surface_rows.shape[0] == NUM_SURFACES
            assert not np.isinf(labels.surface_rows).any()
        if labels.spacing is not None:
            _check_spacing(labels.spacing)
        assert labels.num_rows is None or labels.num_rows > 0, labels.num_rows


def read_split(path: Path) -> None:
    """A split of six scans."""
    sides = read_split_file(path, KEYS)
    assert sides[0]
    assert sides[1]
    assert set().union(*sides) <= set(KEYS)


def read_mark_file(path: Path) -> None:
    """Marks of two scans of a run."""
    for mark in read_marks(path, {"run": ["s01_b01", "s01_b02"]}):
        assert mark.verdict in ("", "pass", "check", "fail")


def read_subject_table(path: Path) -> None:
    """Subjects of scans; text and nothing else."""
    for scan, subject in read_subjects(path).items():
        assert isinstance(scan, str), scan
        assert isinstance(subject, str), subject


def read_json(path: Path) -> None:
    """An object, by both readers of a run's JSON files."""
    content = read_metrics(path.parent) if path.name == "metrics.json" else read_object(path)
    json.dumps(content)


def _check_image(image: Any) -> None:
    assert image.ndim == 2, image.shape
    assert image.dtype in (np.uint8, np.float32), image.dtype
    assert min(image.shape) >= SMALLEST, image.shape
    assert image.size <= LARGEST_PIXELS, image.shape
    assert np.isfinite(image).all()
    assert image.min() >= 0, image.min()
    assert image.max() <= 255, image.max()


def _check_mask(mask: Any) -> None:
    assert mask.ndim == 2, mask.shape
    assert mask.dtype == np.int8, mask.dtype
    assert mask.min() >= IGNORE, mask.min()
    assert mask.max() < NUM_CLASSES, mask.max()


def _check_spacing(spacing: Spacing) -> None:
    for um in (spacing.axial_um, spacing.lateral_um):
        assert um is None or 0 < um < np.inf, spacing
