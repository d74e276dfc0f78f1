"""What an augmentation is, and how it gives back what it changed."""

from typing import Any, Protocol, cast

from torch import Tensor

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


def changed(batch: Batch, **fields: Tensor | None) -> Batch:
    """The batch with other fields; None leaves a field as it is."""
    return cast("Batch", {**batch, **{name: value for name, value in fields.items() if value is not None}})


def optional(batch: Batch, name: str) -> Tensor | None:
    """A field that not every batch has."""
    fields = cast("dict[str, Any]", batch)
    return fields.get(name)
