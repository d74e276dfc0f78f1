"""What `retseg measure LABELS` writes of scans and volumes: the files of `retseg predict`, by its writers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retseg.commands.measured_options import Foveae
from retseg.data.readers.volume import ScanVolume
from retseg.evaluation.atomic import make_folder, replacing_file
from retseg.geometry.etdrs import Ring
from retseg.geometry.thickness import SLABS, Slab, mean_thickness, thickness_profile
from retseg.inference.outputs import folder_of
from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.inference.record import scan_row
from retseg.inference.scan_files import write_scan_files
from retseg.inference.stream import DoneVolume
from retseg.inference.surface_tables import thickness_csv


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured and written of each volume. folder: None, nothing is written."""

    folder: Path | None
    slabs: tuple[Slab, ...]
    grids: Mapping[str, tuple[Ring, ...]]
    foveae: Foveae
    kinds: frozenset[str]

    def write_scan(self, scan: PredictedScan, source: ScanVolume) -> tuple[Path, ...]:
        """Surfaces, thickness of all slabs and, if wanted, the overlay of a scan; the paths."""
        if self.folder is None:
            return ()
        folder = folder_of(source, self.folder)
        make_folder(folder)
        thickness = folder / f"{scan.name}_thickness.csv"
        profile = thickness_profile(scan.surface_rows, scan.spacing, self.slabs)
        with replacing_file(thickness) as partial:
            partial.write_text(thickness_csv(profile, scan.spacing), encoding="utf-8", newline="\n")
        return (*write_scan_files(scan, folder, self.kinds - {"thickness"}), thickness)

    def rows(self, done: DoneVolume) -> list[dict[str, Any]]:
        """Lines of scans.csv, with a column more for each slab besides the usual."""
        slabs = [slab for slab in self.slabs if slab not in SLABS]
        rows = []
        for scan, seconds in zip(done.predicted.scans, done.seconds, strict=True):
            profile = thickness_profile(scan.surface_rows, scan.spacing, slabs)
            means = dict(zip((slab.name for slab in slabs), mean_thickness(profile)[0], strict=True))
            known = {name: round(float(mean), 3) if np.isfinite(mean) else None for name, mean in means.items()}
            more = {f"{name} ({profile.unit})": mean for name, mean in known.items()}
            rows.append(scan_row(done.source, scan, seconds) | more)
        return rows

    def write_volume(self, volume: PredictedVolume) -> tuple[list[Path], list[str]]:
        """Tables and maps of a volume, of one B-scan a picture: the paths, and notices of what is left out."""
        from retseg.inference.volume_files import write_volume_files

        if self.folder is None or not volume.scans:
            return [], []
        folder = folder_of(volume, self.folder)
        make_folder(folder)
        if len(volume.scans) == 1:
            return self._draw_scan(volume.scans[0], folder) if "maps" in self.kinds else [], []
        kinds = self.kinds & {"tables", "arrays", "maps"}
        paths, notices = write_volume_files(
            volume, folder, kinds, self.foveae.of(volume.name), slabs=self.slabs, grids=self.grids
        )
        return list(paths), list(notices)

    def _draw_scan(self, scan: PredictedScan, folder: Path) -> list[Path]:
        """The layers along a scan that has no map, as PNG and PDF."""
        from retseg.figures.saving import save_whole
        from retseg.figures.thickness import thickness_along

        png, pdf = (folder / f"{scan.name}_thickness.{ending}" for ending in ("png", "pdf"))
        profile = thickness_profile(scan.surface_rows, scan.spacing, self.slabs)
        save_whole(thickness_along(profile, scan.spacing, scan.name), png, pdf)
        return [png, pdf]
