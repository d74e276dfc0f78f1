"""The class score Y^c: the one number per class whose gradient an explanation follows back."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from retseg.errors import InputError
from retseg.explain.regions import Band, Pixel, TrueLayer, as_classes, scans_of

_CHOICES = {
    "of": ("probability", "log_probability", "logit"),
    "reduction": ("sum", "mean"),
    "over": ("image", "predicted"),
}

_WORDS = {
    "probability": "softmax probability",
    "log_probability": "logarithm of the softmax probability",
    "logit": "logit",
    "image": "the image",
    "predicted": "the pixels predicted as c",
}


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """Y^c of eq. 6: what is read at each pixel, which pixels count, how they are pooled. The default is the paper's.

    of: softmax "probability" of class c, its natural logarithm "log_probability", or its "logit".
    reduction: "sum" or "mean" over the pixels that count. No pixel at all gives a score of 0, and so a blank map.
    over: all pixels of the "image"; those "predicted" as c; a boolean mask (H, W), (N, H, W) or (N, C, H, W); or a
        region: `TrueLayer(mask)`, `Pixel(row, column)`, `Band(rows, half_width_px)`.
    """

    of: Literal["probability", "log_probability", "logit"] = "probability"
    reduction: Literal["sum", "mean"] = "sum"
    over: Literal["image", "predicted"] | Tensor | TrueLayer | Pixel | Band = "image"

    def __post_init__(self) -> None:
        """Refuse a word that is not one of the choices, and a mask that is not boolean."""
        for field, choices in _CHOICES.items():
            value = getattr(self, field)
            if isinstance(value, Tensor):
                if value.dtype != torch.bool:
                    raise InputError(f"score.{field}: a mask of {value.dtype}, expected torch.bool; compare it first")
            elif isinstance(value, str) and value not in choices:
                raise InputError(f"score.{field}: {value!r}, expected one of {', '.join(choices)}")

    def part(self, scans: slice) -> "Score":
        """The score of some of the scans (N, ...) that its region was made for."""
        over = self.over
        if isinstance(over, str):
            return self
        if isinstance(over, Tensor):
            return replace(self, over=over if over.ndim == 2 else scans_of(over, scans))
        return replace(self, over=over.part(scans))

    def pixel_weights(self, logits: Tensor) -> Tensor:
        """How much each pixel counts: 0 or 1, divided by their number for a mean; broadcasts to logits (N, C, H, W)."""
        num_classes, height, width = logits.shape[1:]
        if isinstance(self.over, Tensor):
            counted = as_classes(self.over.to(logits.device), logits).to(logits)
        elif self.over == "predicted":
            ids = torch.arange(num_classes, device=logits.device)[None, :, None, None]
            counted = (logits.argmax(1, keepdim=True) == ids).to(logits)
        elif not isinstance(self.over, str):
            counted = self.over.counted(logits).to(logits)
        elif self.reduction == "sum":
            return logits.new_ones(1, 1, 1, 1)
        else:
            return logits.new_full((1, 1, 1, 1), 1 / (height * width))
        if self.reduction == "sum":
            return counted
        return counted / counted.sum((2, 3), keepdim=True).clamp(min=1)

    def values(self, logits: Tensor) -> Tensor:
        """Y^c (N, C) from logits (N, C, H, W); differentiable."""
        return self.weighted(logits, self.pixel_weights(logits.detach()))

    def weighted(self, logits: Tensor, weights: Tensor) -> Tensor:
        """Y^c (N, C) from logits (N, C, H, W) and `pixel_weights`, which may be those of other logits."""
        if self.of == "logit":
            per_pixel = logits
        else:
            per_pixel = logits.softmax(1) if self.of == "probability" else logits.log_softmax(1)
        return (weights * per_pixel).sum((2, 3))

    def describe(self) -> str:
        """One phrase for captions: `sum over the image of the softmax probability of class c`."""
        if isinstance(self.over, Tensor):
            over = "a given mask"
        else:
            over = _WORDS[self.over] if isinstance(self.over, str) else self.over.describe()
        return f"{self.reduction} over {over} of the {_WORDS[self.of]} of class c"


PAPER_SCORE = Score()
"""Sum over the whole image of the softmax probability (P45: only a sum gives the 0.125 of the paper's table 3)."""
