"""One loss on all that a network gives: layers, surfaces, fluid."""

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from retseg.errors import InputError


class AllOutputs(Protocol):
    """What a network gives of N scans: logits (N, C, H, W), surface_rows (N, S, W) px, fluid (N, H, W) logits."""

    @property
    def logits(self) -> Tensor:
        """Logits of the classes (N, C, H, W)."""
        ...

    @property
    def surface_rows(self) -> Tensor | None:
        """Sub-pixel rows (N, S, W), or None."""
        ...

    @property
    def fluid(self) -> Tensor | None:
        """Logit of fluid (N, H, W), or None."""
        ...


class JointLoss(nn.Module):
    """layers(logits, mask) + surface_weight x surfaces(rows, true rows) + fluid_weight x fluid(logit, true fluid).

    A part that is None is left out. surfaces, e.g. `SurfaceDistance`, is in px: 0.1 makes 10 px as dear as a
    cross-entropy of 1. True rows that lie outside the grid (a scan that was shifted) are left out as unknown ones are.
    Called with logits and mask alone it is the loss of the layers.
    """

    def __init__(
        self,
        layers: nn.Module,
        surfaces: nn.Module | None = None,
        fluid: nn.Module | None = None,
        surface_weight: float = 0.1,
        fluid_weight: float = 1.0,
    ) -> None:
        super().__init__()
        for name, weight in (("surface_weight", surface_weight), ("fluid_weight", fluid_weight)):
            if weight <= 0:
                raise InputError(f"loss.{name}: {weight}, expected more than 0; to leave a part out set it to null")
        self.layers, self.surfaces, self.fluid = layers, surfaces, fluid
        self.surface_weight, self.fluid_weight = surface_weight, fluid_weight

    def forward(self, logits: Tensor, mask: Tensor) -> Tensor:
        """Scalar loss of the layers alone, from logits (N, C, H, W) and class ids (N, H, W)."""
        loss: Tensor = self.layers(logits, mask)
        return loss

    def joint(self, outputs: AllOutputs, batch: Mapping[str, Any]) -> Tensor:
        """Scalar loss of all outputs against mask (N, H, W), surface_rows (N, S, W) and fluid (N, H, W) of a batch."""
        loss: Tensor = self(outputs.logits, batch["mask"])
        if self.surfaces is not None:
            assert outputs.surface_rows is not None
            true_rows = within_grid(batch["surface_rows"], outputs.logits.shape[2])
            loss = loss + self.surface_weight * self.surfaces(outputs.surface_rows, true_rows)
        if self.fluid is not None:
            assert outputs.fluid is not None
            loss = loss + self.fluid_weight * self.fluid(outputs.fluid, batch["fluid"])
        return loss

    def check(self, num_classes: int) -> None:
        """InputError unless the loss of the layers fits so many classes."""
        check = getattr(self.layers, "check", None)
        if check is not None:
            check(num_classes)


def within_grid(rows: Tensor, num_rows: int) -> Tensor:
    """Surface rows (N, S, W), nan where they are above the first or below the last of num_rows rows."""
    return rows.masked_fill((rows < 0) | (rows > num_rows), torch.nan)
