"""Words of `retseg measure LABELS`: slabs, grids and foveae, each read or refused in one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retseg.errors import InputError
from retseg.geometry.etdrs import Ring, custom_grid
from retseg.geometry.thickness import SLABS, Slab, read_slab
from retseg.inference.outputs import read_place
from retseg.inference.volume_tables import GRIDS

Place = tuple[float, float]
CUSTOM = "custom"


def read_slabs(words: Sequence[str]) -> tuple[Slab, ...]:
    """The usual slabs and those that the user asks for besides. InputError for other words."""
    wanted = [read_slab(word) for word in words]
    known = {slab.name for slab in SLABS}
    return (*SLABS, *{slab.name: slab for slab in wanted if slab.name not in known}.values())


def read_grids(words: Sequence[str]) -> dict[str, tuple[Ring, ...]]:
    """Grids by name: known ones, or "RADII:SECTORS" or "RADII:SECTORS:ANGLES", e.g. "500,1500,3000:1,4,4:0,-45,-45".

    Radii in um, ANGLES in anatomical degrees where the first sector of each ring starts; without them the first of 3 or
    more sectors lies around the nasal direction, as in the ETDRS grid, and the first of 2 is the upper half.
    Without words, all known ones. InputError for anything else.
    """
    known = {name.casefold(): name for name in GRIDS}
    grids = {} if words else dict(GRIDS)
    for word in words:
        if (name := known.get(word.strip().casefold())) is not None:
            grids[name] = GRIDS[name]
            continue
        number = sum(other.startswith(CUSTOM) for other in grids) + 1
        grids[CUSTOM if number == 1 else f"{CUSTOM}_{number}"] = _custom(word)
    return grids


def _custom(word: str) -> tuple[Ring, ...]:
    """The rings of RADII:SECTORS[:ANGLES]."""
    parts = word.split(":")
    try:
        radii_um = [float(part) for part in parts[0].split(",")]
        num_sectors = [int(part) for part in parts[1].split(",")]
        angles_deg = [float(part) for part in parts[2].split(",")] if len(parts) > 2 else None
    except (ValueError, IndexError):
        raise InputError(
            f"--grid {word}: expected {', '.join(GRIDS)}, or RADII:SECTORS of each ring in um, e.g. 500,1500,3000:1,4,4"
        ) from None
    if angles_deg is None:
        angles_deg = [-180 / count if count > 2 else 0.0 for count in num_sectors]
    return custom_grid(radii_um, num_sectors, angles_deg)


@dataclass(frozen=True, slots=True)
class Foveae:
    """Foveal centres by the user, (column, B-scan): of volumes by name, or of the only volume there is."""

    of_volumes: Mapping[str, Place]
    of_the_only_one: Place | None = None

    def of(self, volume: str) -> Place | None:
        """That of a volume; None: it is to be found."""
        return self.of_volumes.get(volume, self.of_the_only_one)


def read_foveae(words: Sequence[str], volumes: Sequence[str]) -> Foveae:
    """From "COLUMN,BSCAN" or "VOLUME:COLUMN,BSCAN", both counted from 0; volumes: names of those with several B-scans.

    InputError for other words, for a volume that is not there, and for a place that may belong to several.
    """
    of_volumes: dict[str, Place] = {}
    only: Place | None = None
    for word in words:
        volume, _, place = word.rpartition(":")
        if volume:
            if volume not in volumes:
                raise InputError(f"--fovea {word}: no volume {volume}; there are {', '.join(volumes) or 'none'}")
            of_volumes[volume] = read_place(place)
        elif len(volumes) != 1 or only is not None:
            shown = ", ".join(volumes[:5]) + (", ..." if len(volumes) > 5 else "")
            raise InputError(
                f"--fovea {word}: for which of {len(volumes)} volumes ({shown})? say VOLUME:COLUMN,BSCAN for each"
            )
        else:
            only = read_place(place)
    return Foveae(of_volumes, only)


def refuse_outside(place: Place, numbers: Sequence[int], num_columns: int, volume: str) -> None:
    """InputError where a fovea (column, B-scan) lies outside a field of columns and numbers of B-scans."""
    column, bscan = place
    if not (-0.5 <= column <= num_columns - 0.5 and numbers[0] - 0.5 <= bscan <= numbers[-1] + 0.5):
        raise InputError(
            f"--fovea {column:g},{bscan:g}: outside {volume}, which has columns 0 to {num_columns - 1} and B-scans "
            f"{numbers[0]} to {numbers[-1]}; correct it"
        )
