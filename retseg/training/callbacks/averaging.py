"""Weight averaging: the moving average of the weights is what is validated, kept and drawn."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.training.callbacks.interrupt import SaveOnInterrupt


class AverageWeights(WeightAveraging):
    """Exponential moving average of all weights and of BatchNorm's statistics, taken after every optimizer step.

    average = d average + (1 - d) weights, with d = min(decay, (1 + n) / (10 + n)) after n steps, so that the random
    start is forgotten at once (as in TensorFlow's ExponentialMovingAverage). Validation, pictures and `state_dict` of
    every checkpoint are of the average; the weights that training goes on from lie beside it in the checkpoint. It must
    stand before the callbacks that save in the middle of an epoch. Lightning's callback does the rest.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 < decay < 1:
            raise InputError(f"callbacks.averaging.decay: {decay}, expected a number between 0 and 1, e.g. 0.999")
        super().__init__(multi_avg_fn=self._average)
        self.decay = decay
        self._is_swapped = False

    @property
    def average(self) -> nn.Module:
        """The module with the averaged weights; while training, beside the one that learns."""
        assert self._average_model is not None
        assert not self._is_swapped
        module: nn.Module = self._average_model.module
        return module

    @torch.no_grad()
    def _average(self, averages: Sequence[Tensor], weights: Sequence[Tensor], num_averaged: Tensor | int) -> None:
        """Update the averages in place."""
        num = int(num_averaged)
        share = 1 - min(self.decay, (1 + num) / (10 + num))
        for average, weight in zip(averages, weights, strict=True):
            if average.is_floating_point():
                average.lerp_(weight.to(average.dtype), share)
            else:
                average.copy_(weight)  # counts of batches

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the average; InputError if a callback that saves in mid-epoch would do so before it is updated."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if any(isinstance(callback, SaveOnInterrupt) for callback in callbacks[: callbacks.index(self)]):
            raise InputError("callbacks: averaging stands behind interrupt; use callbacks=ema, which puts it first")
        super().setup(trainer, pl_module, stage)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the average in the place of the weights; of several processes all take BatchNorm's of the first."""
        if not self._is_swapped:
            if trainer.world_size > 1 and self._average_model is not None:
                for buffer in self._average_model.module.buffers():
                    torch.distributed.broadcast(buffer, src=0)
            super().on_validation_epoch_start(trainer, pl_module)
            self._is_swapped = True

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average there for the pictures that are drawn now: whatever comes next takes the weights back."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Train the weights."""
        self._take_weights_back(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Average the weights."""
        self._take_weights_back(pl_module)
        super().on_train_epoch_end(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the average as `state_dict`, the weights as `current_model_state`.

        The tensors that Lightning has put into the checkpoint are the module's own: they change back with it.
        """
        self._take_weights_back(pl_module)
        super().on_save_checkpoint(trainer, pl_module, checkpoint)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the average in the network."""
        self._take_weights_back(pl_module)
        super().on_train_end(trainer, pl_module)

    def _take_weights_back(self, pl_module: LightningModule) -> None:
        if self._is_swapped:
            self._swap_models(pl_module)
            self._is_swapped = False
