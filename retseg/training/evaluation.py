"""Scores of one network on one set of scans, by the same code that training logs with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from retseg.data.dataset import Item
from retseg.metrics.overlap import OverlapScores


@dataclass(frozen=True)
class SetScores:
    """Scores by name (see OverlapScores), with "loss", and the confusion matrix (C, C) [truth, prediction]."""

    num_scans: int
    scores: dict[str, float]
    confusion: Tensor


@torch.no_grad()
def score_set(
    net: nn.Module,
    loss: nn.Module,
    loader: DataLoader[Item],
    class_names: Sequence[str],
    advance: Callable[[int], None] = lambda _: None,
) -> SetScores:
    """Scores of a network on the scans of a loader, in eval mode; `advance(scans)` is told after each batch.

    loss is the mean over scans of their batch's loss, as training logs it. The network's mode is left as found.
    Scores are of this process alone: of several the others need not wait.
    """
    device = next(net.parameters()).device
    overlap = OverlapScores(class_names, pooled=False).to(device)
    modes = {module: module.training for module in net.modules()}
    net.eval()
    total, count = 0.0, 0
    for batch in loader:
        image, mask = batch["image"].to(device), batch["mask"].to(device)
        logits = net(image)
        overlap.update(logits, mask)
        total += float(loss(logits, mask)) * len(image)
        count += len(image)
        advance(len(image))
    for module, training in modes.items():
        module.training = training
    scores = {"loss": total / count} | {name: float(value) for name, value in overlap.compute().items()}
    return SetScores(count, scores, overlap.confusion.cpu())
