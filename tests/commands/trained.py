"""A run that was really trained, in seconds, for the tests of commands that start from a run folder."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import TINY

TWO_HELD_OUT = (
    *(option for option in TINY if not option.startswith(("split.", "callbacks.gradcam"))),
    "data.source.num_graders=2",
    "split.subjects=[2,3]",
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
    "evaluate=false",
)
"""Two of four subjects are held out, 2 B-scans each, as two graders drew them."""

WITH_FLUID = (
    *(option for option in TWO_HELD_OUT if not option.startswith(("experiment=", "model."))),
    "scheduler=one_cycle",
    "model=with_fluid",
    "model.net.width=2",
    "model.net.norm=batch",
    "loss=layers_fluid",
    "data.targets=[fluid]",
    "callbacks.best.monitor=epoch",
    "+callbacks.best.mode=max",
)
"""The same with a network that seeks fluid beside the layers, and the last epoch's weights whatever they score."""


def train_in(folder: Path, *options: str, base: Sequence[str] = TWO_HELD_OUT) -> Path:
    """Train into a folder, in a process of its own; gives the folder."""
    command = [sys.executable, "-m", "retseg.train", *base, *options, f"hydra.run.dir={folder}"]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder
