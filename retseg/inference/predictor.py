"""Prediction of single scans of any size, by one network or several, each looking once or in several ways.

N scans, C classes, S surfaces, H rows, W columns of a scan; T windows, h x w the network's grid.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.evaluation.inference import Place, network_input
from retseg.geometry.decoding import likeliest_surfaces, rows_on_grid
from retseg.inference.answer import Answer, column_confidence, combined, row_spread
from retseg.inference.network import ScanNetwork
from retseg.inference.tiles import Field, blend_weights, column_starts, field_of_view, moved_to, tiles, zoomed

Features = Callable[[Array, Array], Array]
"""(F,) from what a network saw (h, w) in 0..1 and the probabilities (C, h, w) that it gave."""

NEAR_BORDER_SHARE = 0.02
"""A window is moved and looked at again where more than this share of its columns have a surface within a pixel of its
upper or lower border, and the scan goes on beyond it."""


@dataclass(frozen=True, slots=True)
class View:
    """One way to look at a scan: mirrored left to right, brightened by gain, windows shift (of their height) deeper."""

    is_mirrored: bool = False
    gain: float = 1.0
    shift: float = 0.0


PLAIN = View()


@dataclass(frozen=True, slots=True)
class Member:
    """A network that looks in one way. An answer of several members is their mean."""

    network: ScanNetwork
    view: View = PLAIN


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Windows of a scan on the network's grid: images (T, 1, h, w), probabilities (T, C, h, w), rows (T, S, w).

    fluid: its probability (T, h, w), None where the network seeks none.
    """

    places: tuple[Place, ...]
    images: Tensor
    probabilities: Tensor
    rows: Tensor
    fluid: Tensor | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ScanPredictor:
    """Predicts scans, also from several threads.

    smoothness: nats a row of step between columns, see `likeliest_surfaces`. features: what is kept of every window.
    """

    members: tuple[Member, ...]
    smoothness: float = 0.0
    keep_probabilities: bool = False
    features: Features | None = None

    def answer(self, image: Array, spacing: Spacing) -> Answer:
        """Surfaces of an image (H, W) of gray levels 0..255."""
        with torch.inference_mode():
            return combined([self._of_member(member, image, spacing) for member in self.members])

    def notices(self, shape: tuple[int, int], spacing: Spacing) -> tuple[str, ...]:
        """What its reader should know of how scans of a shape and pixel size are looked at."""
        fields = [field_of_view(member.network.card, shape, spacing) for member in self.members]
        return tuple(dict.fromkeys(field.notice for field in fields if field.notice))

    def num_windows(self, shape: tuple[int, int], spacing: Spacing) -> int:
        """How many windows all members look at together, before any is moved."""
        fields = [field_of_view(member.network.card, shape, spacing) for member in self.members]
        return sum(len(column_starts(shape[1], field.columns)) for field in fields)

    def windows(self, image: Array, spacing: Spacing) -> tuple[tuple[Place, ...], Tensor]:
        """Where the first member looks in an image (H, W) of gray levels, and what it sees there (T, 1, h, w)."""
        with torch.inference_mode():
            seen, _ = self._looked(self.members[0], image, spacing)
        return seen.places, seen.images

    def _of_member(self, member: Member, image: Array, spacing: Spacing) -> Answer:
        seen, field = self._looked(member, image, spacing)
        return self._answer(seen, image, field)

    def _looked(self, member: Member, image: Array, spacing: Spacing) -> tuple[_Seen, Field]:
        """The windows that a member settles on, and how large they are."""
        field = field_of_view(member.network.card, (image.shape[0], image.shape[1]), spacing)
        if field.is_guess:
            field = zoomed(field, self._seen(member, image, tiles(image, field), field).rows[0].numpy())
        shift = round(member.view.shift * field.rows)
        places = tuple(_shifted(place, shift, image.shape[0]) for place in tiles(image, field))
        seen = self._seen(member, image, places, field)
        again = _better_places(seen, image.shape[0])
        if again != places:
            seen = self._seen(member, image, again, field)
        return seen, field

    def _seen(self, member: Member, image: Array, places: tuple[Place, ...], field: Field) -> _Seen:
        """Windows as a member sees them, columns in the order of the scan."""
        view = member.view
        parts = [_cut(image, place) for place in places]
        images = torch.cat([network_input(part, field.size) for part in parts])
        shown = (images * view.gain).clamp(0, 1) if view.gain != 1 else images
        shown = shown.flip(3) if view.is_mirrored else shown
        network, fluid = member.network, None
        if network.with_fluid is None:
            logits = network.forward(shown)
        else:
            logits, fluid = network.with_fluid(shown)
            fluid = fluid.flip(2) if view.is_mirrored else fluid
        probabilities = (logits.flip(3) if view.is_mirrored else logits).float().softmax(dim=1)
        return _Seen(places, images, probabilities, likeliest_surfaces(probabilities, self.smoothness), fluid)

    def _answer(self, seen: _Seen, image: Array, field: Field) -> Answer:
        """Windows put together on the scan's own pixels."""
        shape = (image.shape[0], image.shape[1])
        weights = blend_weights(seen.places, shape[1])
        spread = row_spread(seen.probabilities, seen.rows)
        confidence = column_confidence(seen.probabilities, seen.rows)
        per_column = torch.cat([seen.rows, spread, confidence[:, None]], dim=1).numpy()
        num_surfaces = seen.rows.shape[1]
        total, known = np.zeros((2 * num_surfaces + 1, shape[1])), np.zeros(shape[1])
        for values, place, weight in zip(per_column, seen.places, weights, strict=True):
            old, new = seen.probabilities.shape[2:], (place.height, place.width)
            part = rows_on_grid(values, (old[0], old[1]), new, (0, place.left), shape[1])
            part[:num_surfaces] += place.top
            part[-1] *= old[0] / place.height  # the confidence is no row: undo what rows are scaled by
            is_known = np.isfinite(part).all(axis=0)
            total += np.where(is_known, part * weight, 0)
            known += np.where(is_known, weight, 0)
        mean = np.divide(total, known, out=np.full(total.shape, np.nan), where=known > 0).astype(np.float32)
        return Answer(
            rows=mean[:num_surfaces],
            sd=mean[num_surfaces:-1],
            confidence=mean[-1],
            features=self._features(seen),
            probabilities=_probabilities(seen, weights, shape) if self.keep_probabilities else None,
            fluid=None if seen.fluid is None else on_scan(seen.fluid[:, None], seen.places, weights, shape)[0],
        )

    def _features(self, seen: _Seen) -> Array:
        if self.features is None:
            return np.zeros((len(seen.places), 0))
        pairs = zip(seen.images[:, 0].numpy(), seen.probabilities.numpy(), strict=True)
        return np.stack([self.features(image, probabilities) for image, probabilities in pairs])


def _shifted(place: Place, shift: int, num_rows: int) -> Place:
    """A window some rows deeper, as far as the scan allows."""
    return place if shift == 0 else moved_to(place, place.top + place.height / 2 + shift, num_rows)


def _cut(image: Array, place: Place) -> BScan:
    rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
    return BScan(ScanKey(0, "", 0), image[rows, columns])


def _better_places(seen: _Seen, num_rows: int) -> tuple[Place, ...]:
    """The windows, each moved to the middle of its retina where the retina seems cut by the window's border."""
    height = seen.probabilities.shape[2]
    places = []
    for place, rows in zip(seen.places, seen.rows.numpy(), strict=True):
        known = rows[:, np.isfinite(rows).all(axis=0)]
        is_cut = (known[0] <= 1) & (place.top > 0)
        is_cut |= (known[-1] >= height - 1) & (place.top + place.height < num_rows)
        if is_cut.mean() <= NEAR_BORDER_SHARE if is_cut.size else True:
            places.append(place)
            continue
        middle = (np.percentile(known[0], 5) + np.percentile(known[-1], 95)) / 2
        places.append(moved_to(place, place.top + middle * place.height / height, num_rows))
    return tuple(places)


def _probabilities(seen: _Seen, weights: Array, shape: tuple[int, int]) -> Array:
    """Probabilities (C, H, W) float16 of a scan; background where no window looked."""
    whole = on_scan(seen.probabilities, seen.places, weights, shape)
    for place, weight in zip(seen.places, weights, strict=True):
        outside = np.ones(shape[0], bool)
        outside[place.top : place.top + place.height] = False
        columns = slice(place.left, place.left + place.width)
        whole[0, outside, columns] += weight[columns].astype(np.float32)
    return whole.astype(np.float16)


def on_scan(planes: Tensor, places: tuple[Place, ...], weights: Array, shape: tuple[int, int]) -> Array:
    """Planes (K, H, W) float32 of a scan from windows (T, K, h, w) weighted (T, W); 0 where no window looked."""
    whole = np.zeros((planes.shape[1], *shape), np.float32)
    for plane, place, weight in zip(planes, places, weights, strict=True):
        rows, columns = slice(place.top, place.top + place.height), slice(place.left, place.left + place.width)
        part = F.interpolate(
            plane[None].float(), size=(place.height, place.width), mode="bilinear", align_corners=False
        )
        whole[:, rows, columns] += part[0].numpy() * weight[columns].astype(np.float32)
    return whole
