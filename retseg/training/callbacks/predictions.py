"""Predictions on the same few validation scans while training, and the confusion matrix of the whole set."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from retseg.anatomy import CLASS_NAMES
from retseg.data.dataset import BScanDataset
from retseg.figures.scans import ScanPicture, predictions
from retseg.training.callbacks.fixed_scans import fixed_scans
from retseg.training.log_figure import log_figure, log_masks
from retseg.training.undrawn import Undrawn


class LogPredictions(Callback):
    """Every n epochs and at the last: image, truth, prediction and errors of a few fixed validation scans.

    scans: their names, or how many (evenly spaced over the set). Writes figures/predictions.png and .pdf, and
    sends each scan with both masks to the loggers that show masks.
    """

    def __init__(
        self, scans: int | Sequence[str] = 3, every_n_epochs: int = 10, class_names: Sequence[str] = CLASS_NAMES
    ):
        super().__init__()
        self.scans, self.every_n_epochs, self.class_names = scans, every_n_epochs, tuple(class_names)
        self.undrawn = Undrawn()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse wrong names of scans now, not after ten epochs."""
        if not isinstance(self.scans, int):
            self._items(trainer)

    def _items(self, trainer: Trainer) -> list[dict[str, Any]]:
        dataset: BScanDataset = trainer.datamodule.val_dataset  # type: ignore[attr-defined]
        return fixed_scans(dataset, self.scans, "predictions.scans")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, unless this is the sanity check or not an epoch to draw."""
        epoch = trainer.current_epoch + 1
        is_fit = trainer.state.fn == TrainerFn.FITTING
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs or not is_fit
        if trainer.sanity_checking or not trainer.is_global_zero or not due:
            return
        if is_fit:
            with self.undrawn.drawing(f"predictions of epoch {epoch}"):
                self._draw(trainer, pl_module, epoch)
        else:
            self._draw(trainer, pl_module, epoch)

    def _draw(self, trainer: Trainer, pl_module: LightningModule, epoch: int) -> None:
        pictures = [self._picture(pl_module, item) for item in self._items(trainer)]
        for picture in pictures:
            masks = {"prediction": picture.prediction, "truth": picture.truth}
            log_masks(trainer, f"scans/{picture.name}", picture.image, masks, self.class_names)
        log_figure(trainer, "predictions", predictions(pictures, f"epoch {epoch}, validation scans"))

    def _picture(self, pl_module: LightningModule, item: dict[str, Any]) -> ScanPicture:
        """Image, truth and prediction of a scan; validation left the network in eval mode."""
        with torch.no_grad():
            prediction = pl_module(item["image"][None].to(pl_module.device)).argmax(dim=1)[0].cpu().numpy()
        image = np.rint(255 * item["image"][0].numpy()).astype(np.uint8)
        return ScanPicture(item["name"], image, item["mask"].numpy(), prediction)
