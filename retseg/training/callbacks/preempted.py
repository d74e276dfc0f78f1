"""A job that a cluster takes its machine away from: save between two steps, then go back into the queue."""

import signal
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer

PREEMPTED = signal.SIGUSR2
"""What submitit sends, or has SLURM send, before the time of a job is up; SUBMITIT_PREEMPT_SIGNAL must not differ."""


class SaveOnPreemption(Callback):
    """Where a launcher waits for SIGUSR2 (submitit does), its handler runs after checkpoints/last.ckpt is saved.

    That handler puts the job into the queue again and ends the process in mid-step: all since the last epoch would be
    lost. Here SIGUSR2 stops the run as SIGTERM does (`SaveOnInterrupt`), and the handler comes then. Without one
    it is left alone. Before the first step and after the last there is nothing to save.
    """

    def __init__(self) -> None:
        super().__init__()
        self._requeue: Any = None
        self._is_asked = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the signal from the launcher's handler, if there is one."""
        handler = signal.getsignal(PREEMPTED)
        if callable(handler):
            self._requeue = handler
            signal.signal(PREEMPTED, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
        signal.raise_signal(signal.SIGTERM)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signal back."""
        self._restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signal back; when it was why the run ends, and the run has saved, let the launcher requeue it."""
        requeue = self._requeue
        self._restore()
        if self._is_asked and isinstance(exception, SystemExit) and requeue is not None:
            requeue(PREEMPTED, None)

    def _restore(self) -> None:
        if self._requeue is not None:
            signal.signal(PREEMPTED, self._requeue)
            self._requeue = None
