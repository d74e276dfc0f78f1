"""What every reader gives: the B-scans of one acquisition, opened without pixels, read one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from retseg.bscan import Array, Eye, Spacing
from retseg.geometry.volume_map import BScanDistance, Vertical


@dataclass(frozen=True, slots=True, eq=False)
class RawBScan:
    """Pixels of one B-scan as its file has them.

    image: (H, W) gray levels 0..255, uint8, or float32 where they have fractions.
    colour_share: share (0..1) of pixels whose red, green and blue differ by more than 16 gray levels; 0 for gray files.
    """

    image: Array
    colour_share: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ScanVolume:
    """B-scans of one acquisition: a volume, or a single picture as a volume of one.

    name: of the acquisition, unique among what was opened together, parts parted by "/", safe as a path below a folder.
    path: the file, or the folder of pictures, that it comes from. format: in words, e.g. "Duke MATLAB file".
    numbers: 0-based numbers (B,) of the B-scans at hand in their volume of num_bscans, increasing.
    read: number to pixels; InputError where the file breaks a rule. May be called from several threads.
    spacing: of a pixel; its source says who gave it; unknown where nobody did, never guessed.
    distance: of neighbouring B-scans in um and who gave it, None where nobody did. is_raster False: they are not
    parallel (a star, a circle), so no map is drawn of them.
    first_bscan: which end of the eye B-scan 0 is at. subject: as the file names it, None where it does not.
    source_dicom: for DICOM, the file that segmentations refer to. notices: one line each, for what a reader did.
    """

    name: str
    path: Path
    format: str
    numbers: tuple[int, ...]
    read: Callable[[int], RawBScan]
    num_bscans: int
    spacing: Spacing = field(default_factory=Spacing)
    distance: BScanDistance | None = None
    is_raster: bool = True
    eye: Eye | None = None
    first_bscan: Vertical | None = None
    subject: str | None = None
    source_dicom: Path | None = None
    notices: tuple[str, ...] = ()

    def scan_name(self, number: int) -> str:
        """Of one B-scan: the volume's own if it is a single picture, else e.g. `Subject_01_b010`. No folder in it."""
        stem = self.name.rpartition("/")[2]
        return stem if self.num_bscans == 1 else f"{stem}_b{number:03d}"
