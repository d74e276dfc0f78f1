"""What the tests of sweeps put into a job: a cut or an error in mid-training, once."""

import os
import signal
from pathlib import Path

from lightning import Callback


class CutOnce(Callback):
    """At a step of the job of a seed: sends this process a signal, or raises; never again once the mark is there."""

    def __init__(self, mark: str, seed: int, step: int, name: str) -> None:
        super().__init__()
        self.mark, self.seed, self.step, self.name = Path(mark), seed, step, name

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if trainer.global_step != self.step or pl_module.seed != self.seed or self.mark.exists():
            return
        self.mark.write_text("")
        if self.name == "error":
            raise RuntimeError("the disk\ncaught fire")
        os.kill(os.getpid(), signal.Signals[self.name])


def cut_once(mark: Path, seed: int, step: int, name: str) -> str:
    """The option that puts it into a job."""
    return f"+callbacks.cut={{_target_: {__name__}.CutOnce, mark: '{mark}', seed: {seed}, step: {step}, name: {name}}}"
