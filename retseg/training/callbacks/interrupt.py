"""SIGTERM and Ctrl-C: finish the step, save, say where, leave with 143 or 130."""

import os
import signal
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer

from retseg.training.shares import highest


class SaveOnInterrupt(Callback):
    """On SIGTERM or SIGINT saves checkpoints/last.ckpt between two steps and exits with 128 + signal.

    It takes the signals over from Lightning, which on SIGTERM saves nothing and exits with 0. The checkpoint is made
    where a step is whole, so that the resumed run is the undisturbed one bit for bit. A signal during
    validation waits for its end (the checkpoint of that epoch is then written anyway); a second signal stops at once.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "last.ckpt"
        self._signal: int | None = None
        self._owner = 0
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signals; a loader's workers, forked later, leave them to this process."""
        self._owner = os.getpid()
        self._previous = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._owner:
            return
        if self._signal is not None:
            raise SystemExit(128 + number)
        self._signal = number
        print(f"\n{signal.Signals(number).name}: saving after this step; a second signal stops at once", flush=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two steps: save and leave. After the last of an epoch its validation comes first.

        Gradients that have been accumulated for a step are in no checkpoint: the step is finished first.
        """
        self._agree(pl_module)
        is_whole = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if self._signal is not None and is_whole and not trainer.is_last_batch:
            trainer.save_checkpoint(self.path)
            self._leave()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After validation, when the checkpoint of the epoch has been written: leave."""
        self._agree(pl_module)
        if self._signal is not None:
            self._leave()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back; leave if one came during the last validation."""
        self._agree(pl_module)
        self._restore()
        if self._signal is not None:
            self._leave()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _agree(self, pl_module: LightningModule) -> None:
        """Of several processes all leave where one was told to: a checkpoint is the work of all."""
        self._signal = highest(self._signal or 0, pl_module.device) or None

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _leave(self) -> None:
        assert self._signal is not None
        print(f"saved {self.path}; go on with: resume={self.path.parent.parent}", flush=True)
        raise SystemExit(128 + self._signal)
