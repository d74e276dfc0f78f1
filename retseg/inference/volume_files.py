"""The files that `retseg predict` leaves for each volume, named after it. L slabs, B B-scans, W columns (A-scans)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retseg.bscan import Array
from retseg.data.readers.names import safe_part
from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file
from retseg.evaluation.output import write_csv
from retseg.geometry.etdrs import Ring
from retseg.geometry.fovea import Fovea, find_fovea, fovea_by_user
from retseg.geometry.thickness import SLABS, Slab, ThicknessProfile, read_slab
from retseg.geometry.volume_map import ScanGrid, ThicknessMap, thickness_map
from retseg.inference.fluid_tables import fluid_rows
from retseg.inference.intervals import Intervals
from retseg.inference.predicted import PredictedVolume
from retseg.inference.volume_tables import GRIDS, account, account_text, bscan_rows, profiles_of, sector_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOTAL = "total retina"
FOVEAL_SLAB = read_slab("GCC")
"""That `find_fovea` seeks the pit in."""


@dataclass(slots=True, eq=False)
class _Written:
    """Files of a volume so far, and what could not be written, in words."""

    folder: Path
    stem: str
    paths: list[Path] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def place(self, ending: str) -> Path:
        self.paths.append(self.folder / f"{self.stem}{ending}")
        return self.paths[-1]

    def draw(self, figure: "Figure", ending: str) -> None:
        """Save a figure as PNG and PDF."""
        from retseg.figures.saving import save_whole

        save_whole(figure, self.place(f"{ending}.png"), self.place(f"{ending}.pdf"))


def write_volume_files(
    volume: PredictedVolume,
    folder: Path,
    kinds: Collection[str],
    fovea: tuple[float, float] | None = None,
    intervals: Intervals | None = None,
    slabs: Sequence[Slab] = SLABS,
    grids: Mapping[str, tuple[Ring, ...]] = GRIDS,
) -> tuple[list[Path], tuple[str, ...]]:
    """Write what kinds name (tables, maps, nifti, eyepy) for a volume: the paths, and notices of what is left out.

    maps are arrays and pictures; `arrays`, as `retseg measure --no-figures` asks for, leaves the pictures out.
    fovea: (column, B-scan) by the user; None: it is sought in the map. InputError where the user's lies outside it.
    """
    written = _Written(folder, volume.stem)
    if {"tables", "maps", "arrays"} & set(kinds):
        measured = _measured(volume, fovea, slabs, written.notices)
        if "tables" in kinds:
            _write_tables(volume, measured, written, intervals, grids)
        if {"maps", "arrays"} & set(kinds) and measured.map is not None:
            _write_map(measured.map, written.place("_thickness_map.npz"))
        if "maps" in kinds and measured.map is not None:
            _draw_maps(volume, measured.map, measured.fovea, written)
    if "nifti" in kinds:
        from retseg.inference.nifti_files import write_nifti

        written.notices += write_nifti(volume, written.place)
    if "eyepy" in kinds:
        from retseg.inference.eyepy_files import write_eyepy

        written.notices += write_eyepy(volume, written.place)
    if "tables" in kinds:
        # The last one, since it tells of the others.
        told = account(volume, measured.grid, measured.fovea, intervals, written.notices)
        with replacing_file(written.place("_volume.json")) as partial:
            partial.write_text(account_text(told), encoding="utf-8", newline="\n")
    return written.paths, tuple(written.notices)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """Thickness along every B-scan; its map, grid and fovea, None where there is none."""

    profiles: list[ThicknessProfile]
    map: ThicknessMap | None
    fovea: Fovea | None

    @property
    def grid(self) -> ScanGrid | None:
        return None if self.map is None else self.map.grid


def _measured(
    volume: PredictedVolume, by_user: tuple[float, float] | None, slabs: Sequence[Slab], notices: list[str]
) -> _Measured:
    """What is measured of a volume, as far as its scale and places are known; a notice for what is not."""
    profiles = profiles_of(volume, slabs)
    if why := why_no_map(volume):
        notices.append(f"no map: {why}")
        return _Measured(profiles, None, None)
    grid = volume.grid()
    fovea = _fovea(volume, grid, by_user, notices)
    return _Measured(profiles, thickness_map(profiles, grid), fovea)


def _write_tables(
    volume: PredictedVolume,
    measured: _Measured,
    written: _Written,
    intervals: Intervals | None,
    grids: Mapping[str, tuple[Ring, ...]],
) -> None:
    """<volume>_thickness.csv, _fluid.csv where it was sought, and where there is a map _etdrs.csv.

    Without a fovea the last one is of the whole field.
    """
    write_csv(written.place("_thickness.csv"), bscan_rows(volume, measured.profiles, intervals))
    if fluid := fluid_rows(volume):
        write_csv(written.place("_fluid.csv"), fluid)
    if measured.map is not None:
        rows = sector_rows(volume, measured.map, measured.fovea, grids, intervals)
        write_csv(written.place("_etdrs.csv"), rows)


def why_no_map(volume: PredictedVolume) -> str:
    """What is missing for a map, in words; "" where nothing is."""
    if len(volume.scans) < 2:
        return "one B-scan alone"
    if not volume.is_raster:
        return "the B-scans are not parallel"
    if volume.spacing.lateral_um is None:
        return "the lateral size of a pixel is not known; give --spacing"
    if volume.distance is None:
        return "the distance of B-scans is not known; give --bscan-distance"
    return "" if volume.is_map else "the B-scans differ in width, or are one column wide"


def _fovea(
    volume: PredictedVolume, grid: ScanGrid, by_user: tuple[float, float] | None, notices: list[str]
) -> Fovea | None:
    """The foveal centre: the user's, or the one that is found; None, with a notice, where none is."""
    if by_user is not None:
        x_um, y_um = grid.place_um(*by_user)
        _refuse_outside(grid, by_user, (x_um, y_um))
        return fovea_by_user(x_um, y_um)
    try:
        # Sought in its own slab, whatever else is measured.
        fovea = find_fovea(thickness_map(profiles_of(volume, [FOVEAL_SLAB]), grid), FOVEAL_SLAB.name)
    except InputError as error:
        notices.append(f"no sectors: {error}, --fovea COLUMN,BSCAN")
        return None
    if fovea.doubt:
        notices.append(f"the fovea is doubtful ({fovea.doubt}): check it, and give --fovea COLUMN,BSCAN")
    return fovea


def _refuse_outside(grid: ScanGrid, place: tuple[float, float], place_um: tuple[float, float]) -> None:
    left, right, first, last = grid.extent_um
    if not (left <= place_um[0] <= right and first <= place_um[1] <= last):
        raise InputError(
            f"--fovea {place[0]:g},{place[1]:g}: outside the field; columns run from 0 to {len(grid.x_um) - 1}, "
            f"B-scans from {grid.numbers[0]} to {grid.numbers[-1]}"
        )


def _write_map(measured: ThicknessMap, path: Path) -> None:
    """Arrays of a map: values (L, B, W) with their slabs, unit and places in um, and where the scales come from."""
    grid = measured.placed()
    with replacing_file(path) as partial:
        np.savez_compressed(
            partial,
            thickness=measured.values.astype(np.float32),
            slabs=np.array([slab.name for slab in measured.slabs]),
            unit=np.array(measured.unit),
            x_um=grid.x_um,
            y_um=grid.y_um,
            bscans=np.array(grid.numbers),
            eye=np.array(grid.eye or "unknown"),
            first_bscan=np.array(grid.first_bscan or "unknown"),
            provenance=np.array(f"depth: {measured.scale_source}; {grid.provenance}"),
        )


def _draw_maps(volume: PredictedVolume, measured: ThicknessMap, fovea: Fovea | None, written: _Written) -> None:
    """Pictures seen from the front: total retina and slabs asked for, every layer, and the brightness of the retina."""
    from retseg.figures.en_face import layer_maps, retina_en_face
    from retseg.figures.thickness import thickness_en_face

    for slab in measured.slabs:
        if slab.name == TOTAL or slab not in SLABS:
            ending = "" if slab.name == TOTAL else "_" + safe_part(slab.name.replace(":", "-"))
            figure = thickness_en_face(measured, slab.name, fovea, volume.stem)
            written.draw(figure, f"_thickness_map{ending}")
    written.draw(layer_maps(measured, fovea, volume.stem), "_layer_maps")
    if any(scan.image.any() for scan in volume.scans):  # labels alone have no image
        figure = retina_en_face(retina_brightness(volume), measured.placed(), fovea, volume.stem)
        written.draw(figure, "_en_face")


def retina_brightness(volume: PredictedVolume) -> Array:
    """Mean gray level (B, W) between the ILM and BM of each column, nan where there is no retina."""
    means = []
    for scan in volume.scans:
        height, width = scan.image.shape
        is_known = np.isfinite(scan.surface_rows[[0, -1]]).all(axis=0)
        first, last = (
            np.clip(np.rint(np.where(is_known, rows, 0)), 0, height).astype(int) for rows in scan.surface_rows[[0, -1]]
        )
        sums = np.concatenate([np.zeros((1, width)), scan.image.cumsum(axis=0, dtype=np.float64)])
        columns = np.arange(width)
        count = last - first
        total = sums[last, columns] - sums[first, columns]
        means.append(np.divide(total, count, out=np.full(width, np.nan), where=is_known & (count > 0)))
    return np.stack(means)
