"""What `retseg explain` explains: a trained network, and scans as that network sees them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.build import build_frame
from retseg.commands.scored_run import ScoredRun, choose_scans, open_run
from retseg.data.dataset import check_labels, with_mask
from retseg.data.source import ScanSource
from retseg.data.sources.plain_images import SUFFIXES, PlainImages
from retseg.data.transforms import crop, resize
from retseg.errors import InputError
from retseg.evaluation.inference import Frame, Place, network_input, windowed

NO_LABELS = "no labels"


@dataclass(frozen=True, slots=True, eq=False)
class SeenScan:
    """A scan on the network's grid of H rows and W columns.

    image: (1, 1, H, W) float32 in 0..1. mask, second: (H, W) int64 class ids of either grader, IGNORE where nobody
    annotated; None: no labels. spacing: the size of these pixels. place: the window in the scan's own pixels,
    of which there are native_shape.
    """

    name: str
    subject: str
    image: Tensor
    mask: Tensor | None
    second: Tensor | None
    spacing: Spacing
    place: Place
    native_shape: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedScans:
    """Scans to be explained, by name and in order; `read` opens one. label_origin: who drew their labels."""

    title: str
    label_origin: str
    stamp: str
    names: tuple[str, ...]
    frame: Frame
    source: "ScanSource | PlainScans"
    keys: tuple[ScanKey, ...]

    def read(self, index: int) -> SeenScan:
        """The scan at a position of `names`."""
        key = self.keys[index]
        whole = self.source.read(key)
        scan, place = windowed(whole, self.frame.window)
        second = None
        other = replace(key, grader=3 - key.grader)
        if key.grader and other in self.source.keys:
            cropped = crop(self.source.read(other), place.top, place.left, place.height, place.width)
            second = _mask(with_mask(cropped), self.frame.size)
        has_labels = scan.mask is not None or scan.surface_rows is not None
        mask = _mask(with_mask(scan), self.frame.size) if has_labels else None
        size = self.frame.size or scan.shape
        return SeenScan(
            name=self.names[index],
            subject=key.subject,
            image=network_input(scan, self.frame.size),
            mask=mask,
            second=second,
            spacing=scan.spacing.resized(scan.shape, size),
            place=place,
            native_shape=whole.shape,
        )


class PlainScans:
    """Image files that say nothing of subject, labels or scale, as a source of scans: each is its own subject."""

    name, label_origin, notices = "image files", NO_LABELS, ()

    def __init__(self, files: Sequence[Path], spacing: Spacing) -> None:
        self._images: list[tuple[str, Array]] = []
        for path in files:
            images = PlainImages(path)
            found = images.read(set(range(len(images.names))))
            self._images += [
                (f"{path.stem}{name.removeprefix(path.name)}", image)
                for (_, image), name in zip(found, images.names, strict=True)
            ]
        self.spacing = spacing
        self.names = tuple(name for name, _ in self._images)
        self.keys = tuple(ScanKey(0, name, number) for number, name in enumerate(self.names))

    def read(self, key: ScanKey) -> BScan:
        """The image of a key, gray levels as they are in the file."""
        return BScan(key, self._images[key.bscan][1], spacing=self.spacing)


def open_network(path: Path, checkpoint: str) -> ScoredRun:
    """The run and weights that a path names: a run folder, or one of its checkpoint files."""
    if path.is_file():
        run_dir = path.parent.parent
        if path.suffix != ".ckpt" or not (run_dir / "config.yaml").is_file():
            raise InputError(f"{path}: no checkpoint in a run folder (RUN/checkpoints/*.ckpt); name one, or the RUN")
        return open_run(run_dir, path.stem)
    return open_run(path, checkpoint)


def choose(
    run: ScoredRun, scans: Sequence[str], side: str | None, data: Sequence[str], spacing: Spacing
) -> ExplainedScans:
    """The scans that words name: image files, or scans of the run's data (or of `data`); no word: all of one side."""
    files = [Path(word) for word in scans if Path(word).suffix.lower() in SUFFIXES]
    if files and len(files) < len(scans):
        raise InputError(f"{scans[0]} ...: image files and names of scans in one call; explain them one kind at a time")
    if files:
        if missing := [path for path in files if not path.is_file()]:
            raise InputError(f"{missing[0]}: no such file; name image files, or scans of the run's data")
        source = PlainScans(files, spacing)
        frame = build_frame(run.config)
        stamp = f"image files; {run.stamp}"
        return ExplainedScans(source.name, NO_LABELS, stamp, source.names, frame, source, source.keys)
    chosen = choose_scans(run, side, data)
    keys = chosen.keys if not scans else _named(chosen.source, scans)
    names = tuple(key.name for key in keys)
    origin = chosen.source.label_origin
    return ExplainedScans(chosen.source.name, origin, chosen.stamp, names, chosen.frame, chosen.source, keys)


def _named(source: ScanSource, words: Sequence[str]) -> tuple[ScanKey, ...]:
    """Keys of scans by name; without a grader's number the first grader's."""
    known = {key.name: key for key in reversed(source.keys)}
    known |= {key.scan_name: key for key in reversed(source.keys)}
    if missing := [word for word in words if word not in known]:
        names = sorted({key.scan_name for key in source.keys})
        raise InputError(
            f"{missing[0]}: no such scan in {source.name} and no image file; it has {names[0]} to {names[-1]}"
        )
    return tuple(known[word] for word in words)


def _mask(scan: BScan, size: tuple[int, int] | None) -> Tensor:
    check_labels(scan)
    scan = scan if size is None else resize(scan, *size)
    assert scan.mask is not None
    return torch.from_numpy(np.ascontiguousarray(scan.mask)).long()
