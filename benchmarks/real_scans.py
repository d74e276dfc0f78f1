"""Scores networks on real Duke scans: against silver labels, and against true manual masks where they are at hand.

    python -m benchmarks.real_scans NETWORK [...] --duke DIR [--masks DIR --index CSV] [--views 4]
        [--smoothness 1] [--hide-scale]

NETWORK: a run folder or exported weights; several are one ensemble. A network that was trained on Duke scans never
scores a subject that it was trained on: each scan is predicted by those networks that have not seen its subject, and a
scan that all have seen is left out. Scans are given whole, as `retseg predict` is given them; --hide-scale does not
tell it the size of their pixels.

Dice is hard, pooled over the pixels of annotated columns: the mean of the 7 layers, and of all 8 classes. Surface
errors are absolute, in px of the scan (3.87 um), the mean of 8 surfaces pooled over columns that both sides know.
Brackets: 95 % of 2000 bootstrap draws of subjects, of two or more. Silver labels are another network's.

Masks hold class ids as PNG, named `*s01_b10*.png`: of the scan's size (columns that nobody annotated are 0 from top to
bottom; columns with a gap under fluid are left out, too), or of 256 x 256: the paper's 216 x 500 window (its place:
crop_y0, crop_x0 of the CSV) resized by OpenCV's INTER_NEAREST, which reads at floor(i * scale); surfaces of these are
brought back to rows of the scan.
"""

import argparse
import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from retseg.anatomy import CLASS_NAMES, IGNORE, NUM_CLASSES
from retseg.bscan import Array, ScanKey, Spacing
from retseg.commands.open_network import open_scan_network
from retseg.data.sources.duke import DukeSource
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.parallel import in_order
from retseg.geometry.surfaces import paint_mask
from retseg.inference.members import members_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import ScanPredictor
from retseg.metrics.overlap import confusion_matrix
from retseg.metrics.statistics import interval, resample_weights

WINDOW = (216, 500)


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Of one scan: confusion (C, C) of its pixels, sums (S,) of absolute surface errors in px, and columns (S,)."""

    subject: str
    confusion: Array
    error_sums: Array
    counts: Array


def trained_on(path: Path, network: ScanNetwork) -> frozenset[str]:
    """Duke subjects that a network trained on; none if on made-up scans. Other weights must lie in RUN/export."""
    if "phantom" in network.card.data_name:
        return frozenset()
    run = path if path.is_dir() else path.parent.parent
    if not (run / "split.json").is_file():
        raise SystemExit(f"{path}: no run folder beside it, so nobody knows what it was trained on")
    members = json.loads((run / "split.json").read_text())["train"]
    return frozenset(re.sub(r"_.*", "", str(member)) for member in members)


def rows_by_scan(
    paths: Sequence[Path], source: DukeSource, views: int, smoothness: float, is_hidden: bool
) -> dict[ScanKey, Array]:
    """Predicted surface rows (S, W) of every scan of which some network has not seen the subject."""
    networks = [open_scan_network(path) for path in paths]
    seen = [trained_on(path, network) for path, network in zip(paths, networks, strict=True)]

    def predicted(key: ScanKey) -> Array | None:
        fresh: list[ScanNetwork] = [net for net, known in zip(networks, seen, strict=True) if key.subject not in known]
        if not fresh:
            return None
        scan = source.read(key)
        image = np.clip(np.rint(scan.image), 0, 255).astype(np.uint8)
        predictor = ScanPredictor(members_of(fresh, views, 0), smoothness)
        return predictor.answer(image, Spacing() if is_hidden else scan.spacing).rows

    keys = [key for key in source.keys if key.grader == 1]
    found = zip(keys, in_order(predicted, keys), strict=True)
    return {key: rows for key, rows in found if rows is not None}


def score(subject: str, rows: Array, truth: Array, true_rows: Array) -> Score:
    """Of predicted rows (S, W) against class ids (H, W), IGNORE where nobody annotated, and true rows (S, W)."""
    painted = np.where(truth == IGNORE, 0, np.maximum(paint_mask(rows, truth.shape[0]), 0))
    confusion = confusion_matrix(torch.from_numpy(painted).long(), torch.from_numpy(truth).long(), NUM_CLASSES)
    errors = np.abs(rows - true_rows)
    return Score(subject, confusion.numpy(), np.nansum(errors, axis=1), np.isfinite(errors).sum(axis=1))


def against_silver(source: DukeSource, found: Mapping[ScanKey, Array]) -> dict[str, Score]:
    """A score a scan."""
    scores = {}
    for key, rows in found.items():
        truth = source.read(key)
        assert truth.surface_rows is not None
        mask = paint_mask(truth.surface_rows, truth.shape[0])
        scores[key.scan_name] = score(key.subject, rows, mask, truth.surface_rows)
    return scores


def annotated_columns(truth: Array) -> Array:
    """Which columns (W,) of class ids (H, W) are annotated whole: some layer, and no background within the retina."""
    labelled = truth > 0
    first, last = labelled.argmax(axis=0), truth.shape[0] - 1 - labelled[::-1].argmax(axis=0)
    return np.asarray(labelled.any(axis=0) & (labelled.sum(axis=0) == last - first + 1))


def against_masks(masks: Path, index: Path, found: Mapping[ScanKey, Array]) -> dict[str, Score]:
    """A score a mask whose scan was predicted."""
    with index.open() as file:
        places = {row["name"]: (int(row["crop_y0"]), int(row["crop_x0"])) for row in csv.DictReader(file)}
    scores = {}
    for path in sorted(masks.glob("*.png")):
        name = re.search(r"s\d\d_b\d\d", path.name)
        assert name is not None, path
        key = ScanKey(1, name[0][:3], int(name[0][5:]))
        if key not in found:
            continue
        rows, truth = found[key], np.asarray(Image.open(path)).astype(np.int64)
        axial_share = 1.0
        if truth.shape == (256, 256):
            (top, left), (height, width) = places[name[0]], WINDOW
            rows = (rows - top)[:, left + np.arange(256) * width // 256] * 256 / height
            axial_share = height / 256
        truth[:, ~annotated_columns(truth)] = IGNORE
        true_rows = Labelling.from_mask(truth).surface_rows
        scored = score(key.subject, rows, truth, true_rows)
        scores[path.stem] = Score(scored.subject, scored.confusion, scored.error_sums * axial_share, scored.counts)
    return scores


def dice(confusion: Array) -> Array:
    """Dice (..., C) from confusion (..., C, C)."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.asarray(2 * hits / (confusion.sum(axis=-1) + confusion.sum(axis=-2)))


def tell(title: str, scores: Sequence[Score]) -> None:
    """Print a line: Dice of layers and classes, px, with intervals by subject, then Dice of each class."""
    names = sorted({one.subject for one in scores})
    of = np.array([names.index(one.subject) for one in scores])
    draws = resample_weights(len(names), 2000)[:, of] if len(names) > 1 else np.ones((1, len(of)))
    every = np.concatenate([np.ones((1, len(of))), draws])
    classes = dice(np.tensordot(every, np.stack([one.confusion for one in scores]), axes=1))
    sums, counts = (np.stack(part) for part in zip(*((s.error_sums, s.counts) for s in scores), strict=True))
    error_px = ((every @ sums) / (every @ counts)).mean(axis=1)
    line = f"{title:34}"
    for values in (classes[:, 1:].mean(axis=1), classes.mean(axis=1), error_px):
        line += f"{values[0]:7.3f}"
        low, high = interval(values[1:])
        line += f" [{low:.3f}, {high:.3f}]" if len(names) > 1 else " " * 15
    print(line + "  " + " ".join(f"{value:.3f}" for value in classes[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--duke", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--smoothness", type=float, default=0.0)
    parser.add_argument("--hide-scale", action="store_true")
    options = parser.parse_args()
    source = DukeSource(options.duke, graders=[1])
    found = rows_by_scan(options.networks, source, options.views, options.smoothness, options.hide_scale)
    print(f"{'':34}{'7 layers':>22}{'8 classes':>23}{'surfaces, px':>23}  {' '.join(name[:5] for name in CLASS_NAMES)}")
    silver = against_silver(source, found)
    tell(f"silver, {len(silver)} scans", list(silver.values()))
    if options.masks is not None:
        manual = against_masks(options.masks, options.index, found)
        for name, one in manual.items():
            tell(name, [one])
        if manual:
            tell(f"manual, {len(manual)} masks", list(manual.values()))


if __name__ == "__main__":
    main()
