"""The class score Y^c: the one number per class whose gradient Grad-CAM follows back."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from retseg.errors import InputError

_CHOICES = {"of": ("probability", "logit"), "reduction": ("sum", "mean"), "over": ("image", "predicted")}


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Y^c of eq. 6: what is read at each pixel, which pixels count, how they are pooled. The default is the paper's.

    of: softmax "probability" of class c, or its "logit".
    reduction: "sum" or "mean" over the pixels that count. No pixel at all gives a score of 0, and so a blank map.
    over: all pixels of the "image"; those "predicted" as c; or a boolean mask (H, W), (N, H, W) or (N, C, H, W).
    """

    of: Literal["probability", "logit"] = "probability"
    reduction: Literal["sum", "mean"] = "sum"
    over: Literal["image", "predicted"] | Tensor = "image"

    def __post_init__(self) -> None:
        """Refuse a word that is not one of the choices, and a mask that is not boolean."""
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if isinstance(value, Tensor):
                if value.dtype != torch.bool:
                    raise InputError(f"score.{field}: a mask of {value.dtype}, expected torch.bool; compare it first")
            elif value not in choices:
                raise InputError(f"score.{field}: {value!r}, expected one of {', '.join(choices)}")

    def pixel_weights(self, logits: Tensor) -> Tensor:
        """How much each pixel counts: 0 or 1, divided by their number for a mean; broadcasts to logits (N, C, H, W)."""
        num_classes, height, width = logits.shape[1:]
        if isinstance(self.over, Tensor):
            counted = _as_classes(self.over, logits).to(logits)
        elif self.over == "predicted":
            ids = torch.arange(num_classes, device=logits.device)[None, :, None, None]
            counted = (logits.argmax(1, keepdim=True) == ids).to(logits)
        elif self.reduction == "sum":
            return logits.new_ones(1, 1, 1, 1)
        else:
            return logits.new_full((1, 1, 1, 1), 1 / (height * width))
        if self.reduction == "sum":
            return counted
        return counted / counted.sum((2, 3), keepdim=True).clamp(min=1)

    def values(self, logits: Tensor) -> Tensor:
        """Y^c (N, C) from logits (N, C, H, W); differentiable."""
        per_pixel = logits.softmax(1) if self.of == "probability" else logits
        return (self.pixel_weights(logits.detach()) * per_pixel).sum((2, 3))

    def logit_slopes(self, logits: Tensor) -> Tensor:
        """Slopes (N, C, C), the mean over pixels of dY^c / dz_m, in closed form from logits z (N, C, H, W).

        For a probability dP_c/dz_m = P_c ([c == m] - P_m). Its diagonal is written P_c times the sum of the other P_m,
        not P_c (1 - P_c), so that nothing cancels where the network is sure.
        """
        weights = self.pixel_weights(logits)
        if self.of == "logit":
            return torch.diag_embed(weights.expand_as(logits).mean((2, 3)))
        probabilities = logits.softmax(1)
        shared = torch.einsum("nchw,nmhw->ncm", weights * probabilities, probabilities) / logits[0, 0].numel()
        others = shared - torch.diag_embed(shared.diagonal(dim1=1, dim2=2))
        return torch.diag_embed(others.sum(2)) - others

    def probability_slopes(self, logits: Tensor) -> Tensor:
        """Slopes (N, C, C), the mean over pixels of dY^c / dP_k: [k == c] for the paper's score, whatever the network.

        Of a probability score: a logit does not depend on what comes after it.
        """
        assert self.of == "probability"
        return torch.diag_embed(self.pixel_weights(logits).expand_as(logits).mean((2, 3)))

    def describe(self) -> str:
        """One phrase for captions: `sum over the image of the softmax probability of class c`."""
        what = "softmax probability" if self.of == "probability" else "logit"
        where = {"image": "the image", "predicted": "the pixels predicted as c"}
        over = "a given mask" if isinstance(self.over, Tensor) else where[self.over]
        return f"{self.reduction} over {over} of the {what} of class c"


def _as_classes(mask: Tensor, logits: Tensor) -> Tensor:
    """A mask (H, W), (N, H, W) or (N, C, H, W) with the axes of logits (N, C, H, W); axes of size 1 broadcast."""
    spread = mask if mask.ndim == 4 else mask.unsqueeze(-3).unsqueeze(0) if mask.ndim == 2 else mask.unsqueeze(1)
    if mask.ndim in (2, 3, 4) and all(size in (1, full) for size, full in zip(spread.shape, logits.shape, strict=True)):
        return spread.expand_as(logits)
    raise InputError(
        f"score.over: a mask of shape {tuple(mask.shape)} for logits {tuple(logits.shape)}; "
        "expected (H, W), (N, H, W) or (N, C, H, W) of the same size"
    )


PAPER_SCORE = Score()
"""Sum over the whole image of the softmax probability (P45: only a sum gives the 0.125 of the paper's table 3)."""
