"""Overlap of predicted and true classes, all derived from one confusion matrix (C, C): rows truth, columns prediction.

A count is of pixels, pooled over every scan that was added; pixels labelled IGNORE are in no count.
A class that is neither in the truth nor in the prediction scores nan and is left out of every mean.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from retseg.anatomy import IGNORE


def confusion_matrix(prediction: Tensor, mask: Tensor, num_classes: int) -> Tensor:
    """Counts (C, C) int64, [truth, prediction], from class ids (N, H, W) each; labels IGNORE are left out."""
    # Row 0 counts the pixels labelled IGNORE: counting and dropping them is faster than selecting the others.
    pairs = (mask - IGNORE) * num_classes + prediction
    counts = torch.bincount(pairs.flatten(), minlength=(num_classes + 1) * num_classes)
    return counts.view(num_classes + 1, num_classes)[1:]


def predicted_classes(logits: Tensor, highest: Tensor) -> Tensor:
    """Class ids (N, H, W) of the highest logit, the first of equals, from logits (N, C, H, W) and their maximum.

    Equals `logits.argmax(dim=1)`, which takes 40 times as long on a CPU when C is few and strided.
    """
    last = logits.shape[1] - 1
    rank = torch.arange(last, -1, -1, dtype=torch.uint8, device=logits.device).view(1, -1, 1, 1)
    return last - ((logits == highest.unsqueeze(1)) * rank).amax(dim=1).long()


def dice(confusion: Tensor) -> Tensor:
    """2 TP / (2 TP + FP + FN) per class (C,), pooled over the set; absent from truth and prediction: nan."""
    hits = confusion.diagonal()
    return 2 * hits / (confusion.sum(dim=0) + confusion.sum(dim=1))


def iou(confusion: Tensor) -> Tensor:
    """TP / (TP + FP + FN) per class (C,), pooled over the set (eq. 5); absent from truth and prediction: nan."""
    hits = confusion.diagonal()
    return hits / (confusion.sum(dim=0) + confusion.sum(dim=1) - hits)


def recall(confusion: Tensor) -> Tensor:
    """TP / (TP + FN) per class (C,), the paper's class-wise "accuracy" (Table 2); absent from the truth: nan."""
    return confusion.diagonal() / confusion.sum(dim=1)


def precision(confusion: Tensor) -> Tensor:
    """TP / (TP + FP) per class (C,), pooled over the set; never predicted: nan."""
    return confusion.diagonal() / confusion.sum(dim=0)


def accuracy(confusion: Tensor) -> Tensor:
    """Share of annotated pixels given their true class (eq. 4), background included; nothing annotated: nan."""
    return confusion.diagonal().sum() / confusion.sum()


class OverlapScores(Metric):
    """Everything that a stage reports about overlap, from one confusion matrix and one pair of soft sums.

    compute() gives, for classes c (background first) and layers (all but it), pooled over the stage's pixels:
    accuracy (eq. 4); dice_micro_soft, iou_micro_soft (the paper's Dice and Jaccard: soft, over all pixels and
    classes); {dice,iou}_macro_8 and {dice,iou}_macro_layers (means of the hard scores over all classes, over layers);
    and {dice,iou,accuracy}/<class>, accuracy being recall.
    States are sums, so several processes add up to the right numbers, unless pooled=False: then each has its own.
    """

    full_state_update = False
    confusion: Tensor
    true_probability: Tensor
    num_pixels: Tensor

    def __init__(self, class_names: Sequence[str], pooled: bool = True) -> None:
        super().__init__(sync_on_compute=pooled)
        self.class_names = tuple(class_names)
        num_classes = len(self.class_names)
        self.add_state("confusion", torch.zeros(num_classes, num_classes, dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("true_probability", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("num_pixels", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, mask: Tensor) -> None:
        """Add scans: logits (N, C, H, W), class ids (N, H, W)."""
        logits, annotated = logits.float(), mask != IGNORE  # half-precision sums over pixels would overflow
        highest = logits.amax(dim=1)
        self.confusion += confusion_matrix(predicted_classes(logits, highest), mask, len(self.class_names))
        true_logit = logits.gather(1, mask.clamp(min=0).unsqueeze(1)).squeeze(1)
        # softmax of the true class alone, shifted by the highest logit against overflow
        partition = (logits - highest.unsqueeze(1)).exp_().sum(dim=1)
        probability = (true_logit - highest).exp_() / partition
        self.true_probability += (probability * annotated).sum()
        self.num_pixels += annotated.sum()

    def compute(self) -> dict[str, Tensor]:
        """Scores by name, each a scalar; see the class for what each pools."""
        dice_c, iou_c, recall_c = dice(self.confusion), iou(self.confusion), recall(self.confusion)
        dice_soft = self.true_probability / self.num_pixels
        scores = {
            "accuracy": accuracy(self.confusion),
            "dice_micro_soft": dice_soft,
            "iou_micro_soft": dice_soft / (2 - dice_soft),
            f"dice_macro_{len(self.class_names)}": dice_c.nanmean(),
            f"iou_macro_{len(self.class_names)}": iou_c.nanmean(),
            "dice_macro_layers": dice_c[1:].nanmean(),
            "iou_macro_layers": iou_c[1:].nanmean(),
        }
        for kind, values in (("dice", dice_c), ("iou", iou_c), ("accuracy", recall_c)):
            scores |= {f"{kind}/{name}": value for name, value in zip(self.class_names, values, strict=True)}
        return scores
