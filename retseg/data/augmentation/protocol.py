"""What an augmentation is, and several as one."""

from collections.abc import Sequence
from typing import Protocol

from retseg.data.dataset import Batch


class Augmentation(Protocol):
    """Changes a batch: image (N, 1, H, W) in 0..1, and what lies on its grid, in register.

    mask (N, H, W), surface_rows (N, S, W) in px (nan: unknown) and fluid (N, H, W), the last two where the batch has
    them. Nothing is changed in place. It draws from torch's generator on the CPU, which every training step seeds anew:
    a resumed run draws the same, and so does every device.
    """

    def __call__(self, batch: Batch) -> Batch:
        """A batch of the same shapes."""
        ...


class Compose:
    """One augmentation after another."""

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.steps = tuple(steps)

    def __call__(self, batch: Batch) -> Batch:
        """See Augmentation."""
        for step in self.steps:
            batch = step(batch)
        return batch
