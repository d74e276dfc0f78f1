"""Self-training: pixels that nobody labelled are taught by the moving average of the network itself."""

import math
from typing import Literal, cast

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn

from retseg.anatomy import IGNORE
from retseg.data.augmentation import Augmentation
from retseg.data.dataset import Batch
from retseg.errors import InputError
from retseg.training.callbacks.averaging import AverageWeights

Pixels = Literal["unlabelled", "all"]


class MeanTeacher:
    """Mean teacher (Tarvainen & Valpola, NeurIPS 2017, arXiv 1703.01780), pixel by pixel, for labels that have gaps.

    The teacher is the average that `AverageWeights` keeps, in evaluation mode. It looks at the augmented scans; the
    network looks at the same after `disturbance`, which must leave every pixel where it is. What the teacher answers is
    the target of `loss`, on pixels without a label or on all. Its weight rises over ramp_steps optimizer steps as
    weight exp(-5 (1 - step / ramp_steps)^2) (Laine & Aila 2017, arXiv 1610.02242): at first the teacher knows nothing.
    InputError: a weight that is not positive, negative ramp_steps, or no average to learn from.
    """

    def __init__(
        self,
        loss: nn.Module,
        disturbance: Augmentation | None = None,
        weight: float = 1.0,
        ramp_steps: int = 300,
        pixels: Pixels = "unlabelled",
    ) -> None:
        if weight <= 0 or ramp_steps < 0:
            raise InputError(f"teacher: weight {weight}, ramp_steps {ramp_steps}; expected more than 0, and 0 or more")
        self.loss, self.disturbance, self.weight = loss, disturbance, weight
        self.ramp_steps, self.pixels = ramp_steps, pixels

    def check(self, callbacks: list[Callback]) -> None:
        """InputError unless one of a trainer's callbacks keeps an average."""
        if not any(isinstance(callback, AverageWeights) for callback in callbacks):
            raise InputError("teacher: nobody keeps an average of the weights to learn from; use callbacks=ema")

    @torch.no_grad()
    def answer(self, trainer: Trainer, batch: Batch) -> Tensor:
        """The teacher's logits (N, C, H, W) on a batch that nobody has disturbed yet."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        keeper = next(callback for callback in callbacks if isinstance(callback, AverageWeights))
        return cast(Tensor, keeper.average.eval()(batch["image"]))

    def disturbed(self, batch: Batch) -> Batch:
        """The batch as the network gets to see it."""
        return batch if self.disturbance is None else self.disturbance(batch)

    def weighted_loss(self, logits: Tensor, answer: Tensor, mask: Tensor, step: int) -> Tensor:
        """Scalar loss of logits against the teacher's (N, C, H, W), for labels (N, H, W), at an optimizer step."""
        where = mask == IGNORE if self.pixels == "unlabelled" else None
        ramp = math.exp(-5 * (1 - step / self.ramp_steps) ** 2) if step < self.ramp_steps else 1.0
        loss: Tensor = self.weight * ramp * self.loss(logits, answer, where)
        return loss
