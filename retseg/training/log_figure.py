"""The one place that knows what a logger can show: figures, tables, masks and files, for every logger of a trainer.

Figures are also saved in the run folder, so that a run without any dashboard has them all.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger, WandbLogger

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
Cell = str | int | float | None


def figures_dir(trainer: Trainer) -> Path:
    """Folder of the run's figures, made if need be."""
    folder = Path(trainer.default_root_dir) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def log_figure(trainer: Trainer, key: str, figure: "Figure") -> Path:
    """Save a figure as figures/<key>.png and .pdf (slashes of the key become folders) and send it to the loggers."""
    path = figures_dir(trainer) / f"{key}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    figure.savefig(path.with_suffix(".pdf"))
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key=key, images=[str(path)], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            logger.experiment.add_figure(key, figure, trainer.global_step)
    return path


def log_table(trainer: Trainer, key: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Send a table to the loggers that have tables (the caller keeps its own CSV)."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_table(key=key, columns=list(columns), data=[list(row) for row in rows], step=trainer.global_step)


def log_masks(trainer: Trainer, key: str, image: Array, masks: Mapping[str, Array], class_names: Sequence[str]) -> None:
    """Send one B-scan (H, W) uint8 with its class masks (H, W) as a switchable overlay.

    W&B draws float images in 0..1 all black, hence uint8; label -1 (nobody annotated) is sent as a class of its own.
    """
    assert image.dtype == np.uint8
    labels = dict(enumerate((*class_names, "not annotated")))
    overlays = {
        name: {"mask_data": np.where(mask < 0, len(class_names), mask).astype(np.uint8), "class_labels": labels}
        for name, mask in masks.items()
    }
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.log_image(key=key, images=[image], masks=[overlays], step=trainer.global_step)


def log_summary(trainer: Trainer, values: Mapping[str, Cell]) -> None:
    """Set final values of the run (W&B summary; other loggers have no such place)."""
    for logger in trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.summary.update(dict(values))
