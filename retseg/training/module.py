"""What a training step does with a network. It computes and logs numbers; callbacks draw."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric, Metric

from retseg.anatomy import CLASS_NAMES
from retseg.data.augmentation import Augmentation
from retseg.data.dataset import Batch
from retseg.metrics.overlap import OverlapScores
from retseg.training.epoch_so_far import KEY, Sums, is_mid_epoch, sums_so_far, take_up, warn_of_lost_sums
from retseg.training.history import HistoryLogger
from retseg.training.joint import JointLoss, JointNet
from retseg.training.mean_teacher import MeanTeacher
from retseg.training.nonfinite import nonfinite_gradient, stopped_step
from retseg.training.schedules import Schedule
from retseg.training.shares import num_processes, share_of_step

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]


class SegmentationModule(LightningModule):
    """Trains `net` (logits (N, C, H, W) from images (N, 1, H, W)) with `loss(logits, mask)`.

    A loss on more than layers (`JointLoss`) gets all outputs of the network and the whole batch in their place.
    Logs once an epoch, for stages train and val: <stage>/loss, the mean over the stage's scans of their batch's loss;
    <stage>/{accuracy,dice_micro_soft,iou_micro_soft,dice_macro_8,...} and <stage>_class/{dice,iou,accuracy}/<class>,
    see `OverlapScores`. Training scores are of the weights as they were at each step, on augmented scans if any are.
    Of several processes each steps on its share of a batch: a step's loss is the mean over all its scans of the loss
    of their share, and each scan counts once in every score.
    With a teacher also train/teacher_loss, which train/loss holds already.
    Every step starts from random state of its own, seeded by (seed, epoch, step), so that a resumed run draws what an
    undisturbed one would have drawn. A checkpoint of mid-epoch holds the sums of its steps so far.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: nn.Module,
        optimizer: MakeOptimizer,
        schedule: Schedule | None = None,
        class_names: Sequence[str] = CLASS_NAMES,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        teacher: MeanTeacher | None = None,
    ) -> None:
        super().__init__()
        self.net, self.loss, self.seed, self.augmentation = net, loss, seed, augmentation
        self.teacher = teacher
        self.class_names = tuple(class_names)
        self._make_optimizer, self._schedule = optimizer, schedule
        self._plateau: ReduceLROnPlateau | None = None
        self._plateau_state: dict[str, Any] | None = None
        self._at_work: tuple[Batch, str] | None = None
        self._is_mid_epoch = False
        self._sums: Sums | None = None
        self._lacks_sums = False
        self.train_losses = nn.ModuleDict({name: MeanMetric("error") for name in _loss_names(teacher)})
        self.train_scores = OverlapScores(self.class_names)
        self.val_scores = OverlapScores(self.class_names)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (N, C, H, W)."""
        logits: Tensor = self.net(image)
        return logits

    def on_train_start(self) -> None:
        """Take up the sums of an epoch that was stopped midway."""
        if self._sums is not None:
            take_up(self._running, self._sums, self.global_rank, num_processes())
        elif self._lacks_sums and self.trainer.is_global_zero:
            warn_of_lost_sums(self.current_epoch + 1)
        self._sums, self._lacks_sums = None, False

    def on_train_epoch_start(self) -> None:
        """Begin from nothing, also where a run is resumed from the end of an epoch; not called in mid-epoch."""
        for metric in self._running.values():
            metric.reset()

    @property
    def _running(self) -> dict[str, Metric]:
        """What adds up over the steps of an epoch."""
        losses = {name: metric for name, metric in self.train_losses.items() if isinstance(metric, Metric)}
        return {**losses, "train_scores": self.train_scores}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed this step."""
        self._is_mid_epoch = True
        torch.manual_seed(hash((self.seed, self.current_epoch, batch_idx, self.global_rank)) % 2**63)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Scalar loss of a batch, augmented if training augments, with what a teacher says of it."""
        if self.augmentation is not None:
            batch = self.augmentation(batch)
        losses = self._plain_step(batch) if self.teacher is None else self._taught_step(self.teacher, batch)
        loss = losses["train/loss"]
        self._at_work = (batch, f"epoch {self.current_epoch + 1}, batch {batch_idx + 1}")
        if not torch.isfinite(loss):
            raise stopped_step(self, self.net, *self._at_work, f"loss {float(loss.detach())}")
        for name, value in losses.items():
            self.train_losses[name].update(value.detach(), num_counted(batch))  # type: ignore[operator]
            self.log(name, self.train_losses[name], on_step=False, on_epoch=True)  # type: ignore[arg-type]
        return loss * share_of_step(num_counted(batch), loss.device)

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """InputError where a gradient is not finite though its loss was; no weight has moved yet.

        Half precision scales its loss up until gradients overflow, and leaves such a step out by itself.
        """
        if self._at_work is None or getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            return
        (batch, place), self._at_work = self._at_work, None
        if name := nonfinite_gradient(self.net):
            raise stopped_step(self, self.net, batch, place, f"gradient of {name} not finite")

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a batch to the validation scores. InputError where its loss is not finite (early stopping is mute)."""
        logits, loss = self._logits_and_loss(batch)
        if num_counted(batch):
            self.val_scores.update(logits.detach(), batch["mask"])
        self.log("val/loss", loss, on_step=False, on_epoch=True, batch_size=log_weight(batch), sync_dist=True)
        if num_counted(batch) and not torch.isfinite(loss):
            place = f"validation of epoch {self.current_epoch + 1}, batch {batch_idx + 1}"
            raise stopped_step(self, self.net, batch, place, f"loss {float(loss.detach())}")

    def _plain_step(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a training step, by the name that it is logged under."""
        logits, loss = self._logits_and_loss(batch)
        if num_counted(batch):
            self.train_scores.update(logits.detach(), batch["mask"])
        return {"train/loss": loss}

    def _taught_step(self, teacher: MeanTeacher, batch: Batch) -> dict[str, Tensor]:
        """The same with a teacher: their sum, and the teacher's part of it."""
        answer = teacher.answer(self.trainer, batch)
        batch = teacher.disturbed(batch)
        logits, loss = self._logits_and_loss(batch)
        taught = teacher.weighted_loss(logits, answer, batch["mask"], self.global_step)
        if num_counted(batch):
            self.train_scores.update(logits.detach(), batch["mask"])
        return {"train/loss": loss + taught, "train/teacher_loss": taught}

    def _logits_and_loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (N, C, H, W) and the scalar loss of a batch, from one forward pass."""
        if isinstance(self.loss, JointLoss):
            assert isinstance(self.net, JointNet)
            outputs = self.net.outputs(batch["image"])
            return outputs.logits, self.loss.joint(outputs, batch)
        logits = self(batch["image"])
        return logits, self.loss(logits, batch["mask"])

    def on_train_epoch_end(self) -> None:
        """Log the training scores.

        Lightning hands them on after the checkpoint is written: a run killed between the two would never have them.
        What it knows of validation may be an earlier epoch's, and is in the row already where it is this one's.
        """
        self._is_mid_epoch = False
        self._log_scores("train", self.train_scores)
        self.log("lr", self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        losses = {name: metric.compute() for name, metric in self.train_losses.items()}  # type: ignore[operator]
        told = {name: value for name, value in self.trainer.logged_metrics.items() if not name.startswith("val")}
        values = {name: float(value) for name, value in {**told, **losses}.items()}
        for history in (logger for logger in self.loggers if isinstance(logger, HistoryLogger)):
            history.log_metrics({**values, "epoch": self.current_epoch}, self.global_step - 1)

    def on_validation_epoch_end(self) -> None:
        """Log the validation scores; step the plateau scheduler.

        Lightning would step it after the checkpoint is written: a resumed run would then be one step behind.
        """
        self._log_scores("val", self.val_scores)
        if (
            self._plateau is not None
            and self.trainer.state.fn == TrainerFn.FITTING
            and not self.trainer.sanity_checking
        ):
            self._plateau.step(self.trainer.callback_metrics["val/loss"].item())

    def _log_scores(self, stage: str, scores: OverlapScores) -> None:
        for name, value in scores.compute().items():
            self.log(f"{stage}_class/{name}" if "/" in name else f"{stage}/{name}", value.float())
        scores.reset()

    def configure_optimizers(self) -> Any:
        """The optimizer, with its schedule."""
        optimizer = self._make_optimizer(self.net.parameters())
        if self._schedule is None:
            return optimizer
        scheduler: LRScheduler = self._schedule(optimizer, num_optimizer_steps(self.trainer))
        if isinstance(scheduler, ReduceLROnPlateau):
            self._plateau = scheduler
            if self._plateau_state is not None:
                scheduler.load_state_dict(self._plateau_state)
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the plateau scheduler and, in mid-epoch, its sums so far: Lightning does not know of them."""
        if self._plateau is not None:
            checkpoint["plateau"] = self._plateau.state_dict()
        if self._is_mid_epoch:
            checkpoint[KEY] = sums_so_far(self._running)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember where the plateau scheduler was, which is made after this, and the sums of an epoch's steps."""
        self._plateau_state = checkpoint.get("plateau")
        self._sums = checkpoint.get(KEY)
        self._lacks_sums = self._sums is None and is_mid_epoch(checkpoint)


def _loss_names(teacher: MeanTeacher | None) -> tuple[str, ...]:
    return ("train/loss",) if teacher is None else ("train/loss", "train/teacher_loss")


def num_counted(batch: Batch) -> int:
    """Scans of a batch that count: none where a process had none left, see `StandIn`."""
    return 0 if "is_stand_in" in batch else len(batch["name"])


def log_weight(batch: Batch) -> int:
    """What Lightning weights a batch's loss by. It takes the mean of the processes' weights and drops its fraction."""
    return num_counted(batch) * num_processes()


def num_optimizer_steps(trainer: Trainer) -> int:
    """Optimizer steps of a whole run.

    `trainer.estimated_stepping_batches` would set up the loader that trains before a checkpoint is restored, and a run
    resumed in mid-epoch would start that epoch anew.
    """
    num_batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
    limit = trainer.limit_train_batches
    if limit is not None:
        num_batches = min(num_batches, limit) if isinstance(limit, int) else int(num_batches * limit)
    assert trainer.max_epochs is not None
    return math.ceil(num_batches / trainer.accumulate_grad_batches) * trainer.max_epochs
