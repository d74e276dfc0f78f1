"""The one place that knows what a logger can show: figures, tables, masks, values and files, for every logger.

Figures are also saved in the run folder, so that a run without any dashboard has them all.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from lightning import Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from retseg.figures.saving import save_png_and_pdf
from retseg.training.tensorboard_run import attempted
from retseg.training.wandb_run import RunLogger

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
    save_png_and_pdf(figure, path.with_suffix(""), dpi=150)
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_image(key=key, images=[str(path)], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            figure.set_dpi(100)  # the PDF has left its own
            attempted(logger, partial(_add, logger, "figure", key, figure, trainer.global_step))
    return path


def log_table(trainer: Trainer, key: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Send a table to the loggers that have tables (the caller keeps its own CSV); TensorBoard gets it as text."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_table(key=key, columns=list(columns), data=[list(row) for row in rows], step=trainer.global_step)
        elif isinstance(logger, TensorBoardLogger):
            attempted(logger, partial(_add, logger, "text", key, _markdown(columns, rows), trainer.global_step))


def _add(logger: TensorBoardLogger, kind: str, *what: Any) -> None:
    getattr(logger.experiment, f"add_{kind}")(*what)


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """A table in Markdown, numbers to four digits."""
    cells = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [list(columns), ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def log_masks(trainer: Trainer, key: str, image: Array, masks: Mapping[str, Array], class_names: Sequence[str]) -> None:
    """Send one B-scan (H, W) uint8 with its class masks (H, W) as a switchable overlay: W&B alone has such a thing.

    W&B draws float images in 0..1 all black, hence uint8; label -1 (nobody annotated) is sent as a class of its own.
    """
    assert image.dtype == np.uint8
    labels = dict(enumerate((*class_names, "not annotated")))
    overlays = {
        name: {"mask_data": np.where(mask < 0, len(class_names), mask).astype(np.uint8), "class_labels": labels}
        for name, mask in masks.items()
    }
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_image(key=key, images=[image], masks=[overlays], step=trainer.global_step)


def log_summary(trainer: Trainer, values: Mapping[str, Cell]) -> None:
    """Set final values of the run: W&B's summary; in TensorBoard a table, and the overall ones beside the options."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_summary(values)
        elif isinstance(logger, TensorBoardLogger):
            table = _markdown(("what", "value"), list(values.items()))
            attempted(logger, partial(_add, logger, "text", "best", table, trainer.global_step))
            numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
            overall = {name: value for name, value in numbers.items() if name.count("/") == 1}  # not those by class
            logger.log_hyperparams(logger.hparams, overall, trainer.global_step)
            logger.save()  # the last of this run: what cannot be written is told now


def log_tags(trainer: Trainer, tags: Sequence[str]) -> None:
    """Mark the run with what a list of runs must show: W&B's tags; in TensorBoard a text."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_tags(tags)
        elif isinstance(logger, TensorBoardLogger):
            attempted(logger, partial(_add, logger, "text", "tags", ", ".join(tags), trainer.global_step))


def log_checkpoint(trainer: Trainer, path: Path, aliases: Sequence[str], metadata: Mapping[str, Any]) -> None:
    """Keep a checkpoint beside the run: a W&B artifact with aliases; no other logger holds files."""
    for logger in trainer.loggers:
        if isinstance(logger, RunLogger):
            logger.log_checkpoint(path, aliases, metadata)
