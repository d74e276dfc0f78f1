"""Grad-CAM while training: a few validation scans, always the same, as a figure, a table and a file of numbers."""

import csv
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.seed import isolate_rng

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file
from retseg.explain.descriptions import describe_method
from retseg.explain.engine import Explanation, check_layers, explain
from retseg.explain.methods import check_methods
from retseg.explain.records import RECORD_COLUMNS, JudgedMaps, judge_maps
from retseg.explain.score import PAPER_SCORE, Score
from retseg.figures.heatmap_rows import absent_classes, heatmap_row
from retseg.figures.heatmaps import Colormap, heatmaps
from retseg.training.callbacks.fixed_scans import fixed_scans
from retseg.training.log_figure import log_figure, log_table
from retseg.training.undrawn import Undrawn

DEFAULT_LAYERS = ("conv2d_20", "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11")
"""The paper's two layers, then deeper ones: the last layers mostly print the prediction again."""

TABLE_COLUMNS = ("epoch", *RECORD_COLUMNS)
"""A row for each map, see `MapRecord`: the paper's table 3, and what the prediction already gives of the map."""

Row = tuple[str | int | float, ...]


class GradCamCallback(Callback):
    """Explains `num_scans` evenly spaced validation scans (or those named in `scans`) every `every_n_epochs`.

    Runs at the end of validation, never in the sanity check; once more at the end of training if its last epoch was
    not drawn; and under `trainer.validate`. The network comes from `pl_module.net`, the scans from
    `trainer.datamodule.val_dataset`. Training goes on as if nothing had happened.

    Below the run folder, E being the epochs completed (`validate` under `trainer.validate`):
    - `gradcam/epoch_E.npz`: `SCAN/image` (H, W), `SCAN/probabilities` (C, H, W), and `SCAN/LAYER/` + `weights` (C, K),
      `raw` (C, h, w), `raw_max` (C,), `normalised` (C, h, w); of other methods `SCAN/LAYER/METHOD/` + the same;
    - `gradcam/table3.csv` (or `table3_validate.csv`): TABLE_COLUMNS; the rows of an epoch drawn again are replaced;
    - `figures/gradcam/SCAN.png` and `.pdf`: the newest maps, other methods' in `SCAN_METHOD.png`.

    peak_quantile below 1 scales the figure's colours to that quantile of each map, where single pixels outshine it.
    """

    def __init__(
        self,
        layers: Sequence[str] = DEFAULT_LAYERS,
        methods: Sequence[str] = ("gradcam",),
        num_scans: int = 2,
        scans: Sequence[str] | None = None,
        every_n_epochs: int = 10,
        score: Score = PAPER_SCORE,
        colormap: Colormap = "inferno",
        peak_quantile: float = 1.0,
        class_names: Sequence[str] = CLASS_NAMES,
    ) -> None:
        super().__init__()
        if num_scans < 1 or every_n_epochs < 1:
            raise InputError(
                f"gradcam: num_scans {num_scans} and every_n_epochs {every_n_epochs}, expected at least 1 each"
            )
        if not 0 < peak_quantile <= 1:
            raise InputError(f"gradcam.peak_quantile: {peak_quantile}, expected above 0 and at most 1 (the maximum)")
        check_methods(methods)
        self.layers, self.methods, self.num_scans, self.scans = list(layers), list(methods), num_scans, scans
        self.every_n_epochs, self.score = every_n_epochs, score
        self.colormap, self.peak_quantile, self.class_names = colormap, peak_quantile, tuple(class_names)
        self._last_drawn = 0
        self.undrawn = Undrawn()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse wrong names of layers and scans now, not after ten epochs."""
        self._last_drawn = 0
        check_layers(pl_module.get_submodule("net"), self.layers, self.score)
        with isolate_rng():
            self._scans(trainer)

    def _scans(self, trainer: Trainer) -> list[dict[str, Any]]:
        chosen = self.num_scans if self.scans is None else self.scans
        return fixed_scans(_val_dataset(trainer), chosen, "gradcam.scans")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw if this epoch is one of those to draw, or if validation is all that runs."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if trainer.state.fn != TrainerFn.FITTING:
            self._explain(trainer, pl_module, epoch=None)
            return
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if due and epoch != self._last_drawn:
            self._try_to_explain(trainer, pl_module, epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the last epoch where training stopped earlier than planned."""
        if trainer.is_global_zero and trainer.current_epoch > self._last_drawn:
            self._try_to_explain(trainer, pl_module, trainer.current_epoch)

    def _try_to_explain(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        """The same while training, which a failure does not end; at its end the last epoch is tried once more."""
        with self.undrawn.drawing(f"Grad-CAM of epoch {epoch}"):
            self._explain(trainer, pl_module, epoch)

    def _explain(self, trainer: Trainer, pl_module: LightningModule, epoch: int | None) -> None:
        """Compute, save and draw for every chosen scan, with no trace in the training state."""
        stem = "validate" if epoch is None else f"epoch_{epoch:03d}"
        arrays: dict[str, np.ndarray[Any, Any]] = {}
        rows: list[Row] = []
        net = pl_module.get_submodule("net")
        with isolate_rng():
            for scan in self._scans(trainer):
                image = scan["image"][None].to(pl_module.device, pl_module.dtype)
                found = explain(net, image, self.layers, self.methods, self.score)
                judged = self._judged(scan, found)
                arrays |= _arrays(scan, found)
                rows += [("" if epoch is None else epoch, *astuple(record)) for record in judged.records]
                when = "validation" if epoch is None else f"epoch {epoch}"
                for method in self.methods:
                    figure = self._figure(scan, found, judged, method, f"{method} of {scan['name']}, {when}")
                    name = scan["name"] if method == "gradcam" else f"{scan['name']}_{method}"
                    log_figure(trainer, f"{'gradcam' if epoch else 'gradcam_validate'}/{name}", figure)
        folder = Path(trainer.default_root_dir) / "gradcam"
        folder.mkdir(parents=True, exist_ok=True)
        _save_arrays(folder / f"{stem}.npz", arrays)
        _replace_rows(folder / ("table3.csv" if epoch else "table3_validate.csv"), rows)
        log_table(trainer, "gradcam/table3" if epoch else "gradcam_validate/table3", TABLE_COLUMNS, rows)
        self._last_drawn = epoch or self._last_drawn

    def _judged(self, scan: dict[str, Any], found: Explanation) -> JudgedMaps:
        """What is known of each map of one scan."""
        mask, spacing_um = scan["mask"][None], scan["spacing_um"][None]
        return judge_maps(found, [scan["name"]], [scan["subject"]], mask, spacing_um, self.class_names)

    def _figure(self, scan: dict[str, Any], found: Explanation, judged: JudgedMaps, method: str, title: str) -> Any:
        """Heatmaps of one scan by one method, with a remark on classes that are absent."""
        rows = [heatmap_row(found, judged, method, layer, peak_quantile=self.peak_quantile) for layer in self.layers]
        top = "its own maximum" if self.peak_quantile == 1 else f"its {self.peak_quantile:.1%} quantile and clipped"
        return heatmaps(
            _numpy(scan["image"][0]),
            rows,
            title=title,
            score=found.score.describe(),
            method=describe_method(method),
            notes=absent_classes(scan["mask"], found.probabilities[0].argmax(0).cpu(), len(self.class_names)),
            class_names=self.class_names,
            colormap=self.colormap,
            divisor=top,
        )


def _val_dataset(trainer: Trainer) -> Any:
    """The data module's validation set: items are dicts with image (1, H, W), mask (H, W) and name."""
    return trainer.datamodule.val_dataset  # type: ignore[attr-defined]  # Lightning sets it without declaring it


def _numpy(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """float32 array of a tensor on any device."""
    array: np.ndarray[Any, Any] = tensor.detach().float().cpu().numpy()
    return array


def _arrays(scan: dict[str, Any], found: Explanation) -> dict[str, np.ndarray[Any, Any]]:
    """What the npz file holds of one scan, keys as in the class's docstring."""
    name = scan["name"]
    arrays = {f"{name}/image": _numpy(scan["image"][0]), f"{name}/probabilities": _numpy(found.probabilities[0])}
    for (method, layer), maps in found.maps.items():
        place = f"{name}/{layer}" if method == "gradcam" else f"{name}/{layer}/{method}"
        for kind in ("weights", "raw", "raw_max", "normalised"):
            values = getattr(maps, kind)
            if values is not None:
                arrays[f"{place}/{kind}"] = _numpy(values[0])
    return arrays


def _save_arrays(path: Path, arrays: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write a whole npz file or none: a full disk or a kill leaves no half of one under its final name."""
    with replacing_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _replace_rows(path: Path, rows: Sequence[Row]) -> None:
    """Append rows to a CSV; those of the same epoch from before a resume give way to them."""
    kept: list[list[str]] = []
    if path.exists():
        with path.open(newline="") as file:
            kept = [row for row in list(csv.reader(file))[1:] if row[0] != str(rows[0][0])]
    with replacing_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TABLE_COLUMNS)
        writer.writerows(kept)
        writer.writerows(rows)
