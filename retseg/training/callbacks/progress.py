"""Progress of a whole run, with the time left: a bar in a terminal, a line an epoch everywhere."""

import time
from typing import Any

from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from retseg.training.environment import is_main_process


class RunProgress(Callback):
    """One bar over all steps of the run, and one line an epoch: losses, mean Dice of the layers, time left.

    Outside a terminal there is no bar; there, epochs of over a minute also give a line a minute.
    """

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self.console = console or Console(soft_wrap=True, highlight=False, quiet=not is_main_process())
        self._bar: Progress | None = None
        self._started = self._last_line = 0.0
        self._first_step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock and, in a terminal, the bar."""
        self._started = self._last_line = time.monotonic()
        self._first_step = trainer.global_step
        if self.console.is_terminal:
            columns = (TextColumn("epoch {task.fields[epoch]}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
            self._bar = Progress(
                *columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=self.console
            )
            total = int(trainer.estimated_stepping_batches)
            self._bar.add_task("", total=total, completed=trainer.global_step, epoch=self._epoch(trainer))
            self._bar.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar; without one, a line a minute."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=trainer.global_step, epoch=self._epoch(trainer))
        elif time.monotonic() - self._last_line > 60:
            step = f"step {batch_idx + 1}/{trainer.num_training_batches}"
            self._print(f"epoch {self._epoch(trainer)}  {step}  {self._left(trainer)} left")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A line for the epoch."""
        scores = trainer.callback_metrics
        told = [f"epoch {self._epoch(trainer)}"]
        for label, name in (
            ("train loss", "train/loss"),
            ("val loss", "val/loss"),
            ("Dice of layers", "val/dice_macro_layers"),
        ):
            if name in scores:
                told.append(f"{label} {scores[name].item():.4f}")
        self._print("  ".join([*told, f"{self._left(trainer)} left"]))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Take the bar away."""
        self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _print(self, line: str) -> None:
        self._last_line = time.monotonic()
        self.console.print(line)

    @staticmethod
    def _epoch(trainer: Trainer) -> str:
        return f"{trainer.current_epoch + 1}/{trainer.max_epochs}"

    def _left(self, trainer: Trainer) -> str:
        """Time left, from the mean time of a step so far (validation counted in)."""
        done = trainer.global_step - self._first_step
        remaining = int(trainer.estimated_stepping_batches) - trainer.global_step
        seconds = round((time.monotonic() - self._started) / max(done, 1) * max(remaining, 0))
        minutes, seconds = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
