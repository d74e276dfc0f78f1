"""How thick layers and sums of neighbouring layers are, along one B-scan.

S surfaces top to bottom, L slabs (a layer, or several in a row), W columns (A-scans). Thickness is axial: along the
column, not along the normal of a tilted retina, as devices measure it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from retseg.anatomy import LAYER_NAMES, NUM_SURFACES
from retseg.bscan import Array, Spacing
from retseg.errors import InputError

Unit = Literal["um", "px"]
NO_SCALE = "unknown, so pixels"


@dataclass(frozen=True, slots=True)
class Slab:
    """One layer, or neighbouring ones as one: layers `first` to `last` (ids of retseg.anatomy, 1..7, both included)."""

    name: str
    full_name: str
    first: int
    last: int

    def __post_init__(self) -> None:
        """Layers from top to bottom (a slip of ours otherwise)."""
        assert 1 <= self.first <= self.last < NUM_SURFACES, (self.first, self.last)


LAYER_SLABS = tuple(Slab(name, name, number, number) for number, name in enumerate(LAYER_NAMES, start=1))
"""Each layer by itself."""

SUMS = (
    Slab("total retina", "from the ILM to Bruch's membrane", 1, 7),
    Slab("GCC", "ganglion cell complex: NFL and GCL-IPL", 1, 2),
    Slab("inner retina", "NFL to OPL: all that lies above the outer nuclear layer", 1, 4),
    Slab("outer retina", "ONL-ISM to OS-RPE: photoreceptors and pigment epithelium", 5, 7),
)
"""Sums with a name. Inner and outer retina make up the total. The GCIPL of other tools is the layer GCL-IPL here."""

SLABS = (*LAYER_SLABS, *SUMS)
"""What is measured unless somebody asks for something else."""

_NAMED = {slab.name.casefold(): slab for slab in SLABS} | {"gcipl": LAYER_SLABS[1]}


def read_slab(text: str) -> Slab:
    """The slab of a name ("INL", "total retina", "GCIPL") or of two layers ("NFL:INL": both and all between them).

    InputError for any other words.
    """
    known = _NAMED.get(text.strip().casefold())
    if known is not None:
        return known
    ends = [_NAMED.get(part.strip().casefold()) for part in text.split(":")]
    if len(ends) == 2 and ends[0] is not None and ends[1] is not None and ends[0].first <= ends[1].last:
        return Slab(text.strip(), f"{ends[0].name} to {ends[1].name}", ends[0].first, ends[1].last)
    raise InputError(
        f"{text!r} is no layer or sum of layers; take one of {', '.join(slab.name for slab in SLABS)}, "
        "or first and last layer from top to bottom, e.g. NFL:INL"
    )


@dataclass(frozen=True, slots=True, eq=False)
class ThicknessProfile:
    """Thickness (L, W) of slabs along one B-scan, in `unit`; nan where it is not known.

    scale_source: who gave the axial size of a pixel ("data set", "file header", "user"), or NO_SCALE with unit "px".
    """

    slabs: tuple[Slab, ...]
    values: Array
    unit: Unit
    scale_source: str

    def __post_init__(self) -> None:
        """Shapes agree by construction (a slip of ours otherwise)."""
        assert self.values.ndim == 2, self.values.shape
        assert len(self.slabs) == len(self.values), (len(self.slabs), self.values.shape)

    def of(self, name: str) -> Array:
        """Thickness (W,) of the slab of that name."""
        return np.asarray(self.values[[slab.name for slab in self.slabs].index(name)])


def thickness_profile(surface_rows: Array, spacing: Spacing, slabs: Sequence[Slab] = SLABS) -> ThicknessProfile:
    """Thickness (L, W) from surface rows (S, W): in um where the axial size of a pixel is known, else in pixels.

    Only the two surfaces that bound a slab count: the total retina is known wherever the ILM and BM are. nan where one
    of them is unknown, and where they cross: such a place has no thickness.
    """
    assert surface_rows.shape[0] == NUM_SURFACES, surface_rows.shape
    rows = surface_rows.astype(np.float64)
    thickness_px = rows[[slab.last for slab in slabs]] - rows[[slab.first - 1 for slab in slabs]]
    thickness_px[thickness_px < 0] = np.nan
    if spacing.axial_um is None:
        return ThicknessProfile(tuple(slabs), thickness_px, "px", NO_SCALE)
    return ThicknessProfile(tuple(slabs), thickness_px * spacing.axial_um, "um", spacing.source)


def mean_thickness(profile: ThicknessProfile) -> tuple[Array, Array]:
    """Mean (L,) over the known columns, in the profile's unit (nan without any), and the share (L,) of known ones."""
    is_known = np.isfinite(profile.values)
    total, count = np.where(is_known, profile.values, 0).sum(axis=1), is_known.sum(axis=1)
    mean = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean, count / profile.values.shape[1]
