"""Scores a run on true manual masks of single Duke B-scans: hard Dice per class, pooled over the masks' pixels.

    python -m benchmarks.duke_true_masks RUN --duke DIR --masks DIR --index CSV [--checkpoint best|last]

DIR of masks holds PNGs of class ids, of two kinds, recognised by their size:
- `*s01_b10*.png` of the scan's own size: columns that nobody annotated are 0 from top to bottom, and under fluid part
  of the retina is 0; both kinds of column are left out.
- 256 x 256: the paper's 216 x 500 window (its place: columns crop_x0, crop_y0 of the CSV, a row per B-scan), resized
  by OpenCV's INTER_NEAREST, which reads at floor(i * scale); the prediction is resized in the same way.
The prediction is made in the run's own window and size, and comes back on the scan's grid before it is compared;
pixels outside the run's window are compared with nothing.
"""

import argparse
import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from retseg.anatomy import CLASS_NAMES, IGNORE
from retseg.bscan import BScan, ScanKey
from retseg.build import build_frame, load_config, load_net
from retseg.data.sources.duke import DukeSource
from retseg.evaluation.inference import Frame, native_classes, network_input, windowed
from retseg.metrics.overlap import confusion_matrix, dice

WINDOW = (216, 500)


def predict_native(net: torch.nn.Module, frame: Frame, scan: BScan) -> Any:
    """Class ids (H, W) on the grid of a scan, IGNORE outside the run's window."""
    window, place = windowed(scan, frame.window)
    with torch.no_grad():
        classes = native_classes(net(network_input(window, frame.size)), window.shape)
    native = np.full(scan.shape, IGNORE, np.int64)
    native[place.top : place.top + place.height, place.left : place.left + place.width] = classes
    return native


def annotated_columns(truth: Any) -> Any:
    """Which columns (W,) of class ids (H, W) are annotated whole: some layer, and no background within the retina."""
    labelled = truth > 0
    first, last = labelled.argmax(axis=0), truth.shape[0] - 1 - labelled[::-1].argmax(axis=0)
    return labelled.any(axis=0) & (labelled.sum(axis=0) == last - first + 1)


def score(run_dir: Path, duke: Path, masks: Path, index: Path, checkpoint: str) -> dict[str, torch.Tensor]:
    """Dice (C,) per mask file, and pooled over all of them under "all"."""
    frame, net, source = build_frame(load_config(run_dir)), load_net(run_dir, checkpoint), DukeSource(duke)
    with index.open() as file:
        windows = {row["name"]: (int(row["crop_y0"]), int(row["crop_x0"])) for row in csv.DictReader(file)}
    total, scores = torch.zeros(len(CLASS_NAMES), len(CLASS_NAMES), dtype=torch.long), {}
    for path in sorted(masks.glob("*.png")):
        name = re.search(r"s\d\d_b\d\d", path.name)
        assert name is not None, path
        truth = np.asarray(Image.open(path)).astype(np.int64)
        predicted = predict_native(net, frame, source.read(ScanKey(1, name[0][:3], int(name[0][5:]))))
        if truth.shape != predicted.shape:
            (top, left), (rows, columns) = windows[name[0]], WINDOW
            window = predicted[top : top + rows, left : left + columns]
            height, width = truth.shape
            predicted = window[np.arange(height)[:, None] * rows // height, np.arange(width) * columns // width]
        truth[:, ~annotated_columns(truth)] = IGNORE
        truth[predicted == IGNORE], predicted[predicted == IGNORE] = IGNORE, 0  # outside the run's window
        confusion = confusion_matrix(torch.from_numpy(predicted), torch.from_numpy(truth), len(CLASS_NAMES))
        scores[path.stem] = dice(confusion)
        total += confusion
    return scores | {"all": dice(total)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--duke", type=Path, required=True)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--checkpoint", default="best", choices=["best", "last"])
    options = parser.parse_args()
    scores = score(options.run, options.duke, options.masks, options.index, options.checkpoint)
    print(f"{'':<40}" + "".join(f"{name[:8]:>9}" for name in CLASS_NAMES) + f"{'layers':>9}{'classes':>9}")
    for name, values in scores.items():
        numbers = [*values.tolist(), values[1:].nanmean().item(), values.nanmean().item()]
        print(f"{name:<40}" + "".join(f"{number:>9.3f}" for number in numbers))


if __name__ == "__main__":
    main()
