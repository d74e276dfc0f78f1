"""TensorBoard that nothing depends on: its first failure ends its logging with one warning, not the training.

TensorBoard writes in a thread of its own. What fails there (a full disk) it keeps, and raises at whatever is logged
next, which may be a figure or a checkpoint's name; Python shows the thread's traceback beside it. Here neither happens.
"""

import threading
import warnings
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from retseg.errors import one_line
from retseg.training.undrawn import Undrawn

STOPPED = "TensorBoard failed ({error}); training goes on without it, the run folder holds all scores and figures"


class RunTensorBoard(TensorBoardLogger):
    """Lightning's logger, attempted; once it has failed, nothing more is tried.

    undrawn: what the run's end says of it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_failed = False
        self.undrawn = Undrawn()
        _threads_of_tensorboard_are_quiet()

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with TensorBoard."""
        if self.has_failed:
            return
        try:
            action()
        except Exception as error:  # of any kind, as for W&B: what the disk or a thread gave it
            self.has_failed = True
            why = f"{type(error).__name__}: {one_line(error)}"
            self.undrawn.lines.append(f"{self.log_dir}: not whole ({why})")
            warnings.warn_explicit(STOPPED.format(error=why), UserWarning, filename="retseg", lineno=0)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunTensorBoard, self).log_metrics(metrics, step))

    @rank_zero_only
    def log_hyperparams(
        self,
        params: dict[str, Any] | Namespace,
        metrics: dict[str, Any] | None = None,
        step: int | None = None,
    ) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunTensorBoard, self).log_hyperparams(params, metrics, step))

    @rank_zero_only
    def save(self) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunTensorBoard, self).save())

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunTensorBoard, self).finalize(status))


def attempted(logger: TensorBoardLogger, action: Callable[[], object]) -> None:
    """Do something with a logger's own writer; run folders of before name Lightning's logger, which may fail."""
    if isinstance(logger, RunTensorBoard):
        logger.attempt(action)
    else:
        action()


def _threads_of_tensorboard_are_quiet() -> None:
    """Python does not show errors that TensorBoard's writing thread keeps for whoever logs next; others as before."""
    shown = threading.excepthook
    if getattr(shown, "is_of_retseg", False):
        return

    def show(args: threading.ExceptHookArgs) -> None:
        if type(args.thread).__module__.startswith("tensorboard.") and args.exc_value is not None:
            return
        shown(args)

    show.is_of_retseg = True  # type: ignore[attr-defined]  # so that it is put there once
    threading.excepthook = show
