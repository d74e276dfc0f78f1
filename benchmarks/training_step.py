"""What data, loss, metrics and Lightning cost beside the network: ratios from one run, interleaved, medians.

Run `python -m benchmarks.training_step [--width 16] [--batch-size 4] [--rounds 7]`.
A round is an epoch of `steps` steps in Lightning (module, data and history file), then the parts alone on such
logits, then as many steps of a bare PyTorch loop with the same network, loss, optimizer and batches.
"""

import argparse
import copy
import tempfile
import warnings
from statistics import median
from time import perf_counter

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from retseg.anatomy import CLASS_NAMES
from retseg.data.dataset import Batch, collate
from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import SubjectHoldout
from retseg.losses import CrossEntropyDice
from retseg.metrics.overlap import OverlapScores
from retseg.models.segnet import SegNet
from retseg.training.datamodule import OctDataModule
from retseg.training.history import HistoryLogger
from retseg.training.module import SegmentationModule


class Rounds(Callback):
    """Times each epoch of Lightning, and after it the same steps bare and the parts alone."""

    def __init__(self, data: OctDataModule) -> None:
        super().__init__()
        self.data = data
        self.seconds: dict[str, list[float]] = {"lightning": [], "bare": [], "data": [], "loss and metrics": []}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the network for the bare loop."""
        self.net = copy.deepcopy(pl_module.net)
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-3)
        self.loss = CrossEntropyDice()
        self.loader = DataLoader(self.data.train_dataset, self.data.batch_size, shuffle=True, collate_fn=collate)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._start = perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it, and take the bare loop's turn."""
        self.seconds["lightning"].append(perf_counter() - self._start)
        start = perf_counter()
        batches: list[Batch] = list(self.loader)  # type: ignore[arg-type]
        self.seconds["data"].append(perf_counter() - start)
        with torch.no_grad():
            logits = [self.net(batch["image"]) for batch in batches]
        self.seconds["loss and metrics"].append(self._parts(logits, batches))
        del logits, batches
        self._bare()  # either contender follows a training epoch: memory is as warm for one as for the other
        self.seconds["bare"].append(self._bare())

    def _bare(self) -> float:
        torch.use_deterministic_algorithms(False)  # as a bare loop would be; retseg's own steps are deterministic
        start = perf_counter()
        self.net.train()
        for batch in self.loader:
            self.optimizer.zero_grad()
            self.loss(self.net(batch["image"]), batch["mask"]).backward()  # type: ignore[call-overload]
            self.optimizer.step()
        seconds = perf_counter() - start
        torch.use_deterministic_algorithms(True, warn_only=True)
        return seconds

    def _parts(self, logits: list[Tensor], batches: list[Batch]) -> float:
        """Loss forward and backward to the logits, and the training scores, for the steps of an epoch."""
        scores = OverlapScores(CLASS_NAMES)
        start = perf_counter()
        for one, batch in zip(logits, batches, strict=True):
            leaf = one.requires_grad_()
            torch.autograd.grad(self.loss(leaf, batch["mask"]), leaf)
            scores.update(one.detach(), batch["mask"])
        scores.compute()
        return perf_counter() - start


def measure(width: int = 16, batch_size: int = 4, steps: int = 6, rounds: int = 7) -> dict[str, float]:
    """Median ratios over rounds (the first warms up): see the keys."""
    source = PhantomSource(num_subjects=2, bscans_per_subject=steps * batch_size)
    data = OctDataModule(source, SubjectHoldout([2]), batch_size=batch_size)
    data.read_all()
    torch.utils.deterministic.fill_uninitialized_memory = False  # as `python -m retseg.train` has it
    torch.manual_seed(0)
    net = SegNet(width=width, norm="batch")
    module = SegmentationModule(net, CrossEntropyDice(), lambda p: torch.optim.Adam(p, lr=1e-3))
    timer = Rounds(data)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = Trainer(
            max_epochs=rounds + 1, callbacks=[timer], logger=HistoryLogger(folder), default_root_dir=folder,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
            limit_val_batches=0, log_every_n_steps=1, deterministic="warn", accelerator="cpu",
        )  # fmt: skip
        trainer.fit(module, datamodule=data)
    seconds = {name: values[1:] for name, values in timer.seconds.items()}

    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))

    return {
        "seconds a step": median(seconds["bare"]) / steps,
        "Lightning step / bare step": ratio("lightning", "bare"),
        "data / epoch": ratio("data", "bare"),
        "loss and metrics / step": ratio("loss and metrics", "bare"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16, help="channels of the first block")
    parser.add_argument("--batch-size", type=int, default=4, help="scans of 256 x 256 a step")
    parser.add_argument("--steps", type=int, default=6, help="steps a round")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    options = parser.parse_args()
    print(f"SegNet width {options.width}, batch {options.batch_size}, {torch.get_num_threads()} threads")
    for name, value in measure(options.width, options.batch_size, options.steps, options.rounds).items():
        print(f"{name:<30}{value:>9.4f}")


if __name__ == "__main__":
    main()
