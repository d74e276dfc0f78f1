"""Which files a call of `retseg predict` leaves, and where: one folder a volume, named after it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from retseg.bscan import Array
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError
from retseg.evaluation.atomic import make_folder
from retseg.inference.gate import GatedPredictor
from retseg.inference.intervals import Intervals
from retseg.inference.kept_scans import KeptScans
from retseg.inference.network import ScanNetwork
from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.inference.stream import Work

OF_SCANS = ("mask", "surfaces", "thickness", "overlay", "fluid", "probabilities")
OF_VOLUMES = ("tables", "maps", "nifti", "eyepy", "dicom")
KINDS = (*OF_SCANS, *OF_VOLUMES)
ON_REQUEST = ("probabilities",)
FLUID = "fluid"
"""Written by networks that seek fluid alone."""
NEEDS = {"eyepy": "eyepy", "dicom": "highdicom"}
"""Libraries of the extra `vendor` that an output is written by."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is written. is_chosen: the user named the kinds, so none is left out in silence.

    fovea: (column, B-scan) by the user, None: it is found in every volume.
    """

    kinds: frozenset[str]
    is_chosen: bool = False
    fovea: tuple[float, float] | None = None
    notices: tuple[str, ...] = ()

    @property
    def probabilities(self) -> bool:
        """Whether probabilities have to be kept."""
        return "probabilities" in self.kinds


def choose_outputs(words: Sequence[str] | None, fovea: tuple[float, float] | None) -> Outputs:
    """Outputs from the user's words, each one kind or several parted by commas; None: the usual ones.

    InputError for an unknown word, and for one whose library is missing. Of the usual ones such a kind is left out,
    with a notice.
    """
    missing = {kind for kind, library in NEEDS.items() if find_spec(library) is None}
    if words is None:
        kinds = frozenset(KINDS) - set(ON_REQUEST) - missing
        said = f"not written: {', '.join(sorted(missing))}; they need `pip install 'retseg[vendor]'`"
        return Outputs(kinds, fovea=fovea, notices=(said,) if missing else ())
    asked = {part.strip() for word in words for part in word.split(",") if part.strip()}
    asked = set(KINDS) | (asked - {"all"}) if "all" in asked else asked
    if unknown := sorted(asked - set(KINDS)):
        raise InputError(f"--save {unknown[0]}: no such output; take some of {', '.join(KINDS)}, or all")
    if lacking := sorted(asked & missing):
        raise InputError(
            f"--save {lacking[0]}: needs {NEEDS[lacking[0]]}; install it by `pip install 'retseg[vendor]'`"
        )
    return Outputs(frozenset(asked), is_chosen=True, fovea=fovea)


def fit_to_networks(outputs: Outputs, words: Sequence[str] | None, networks: Sequence[ScanNetwork]) -> Outputs:
    """Outputs without fluid where no network seeks any. InputError where the user's words ask for it by name."""
    if any(network.card.gives_fluid for network in networks):
        return outputs
    if FLUID in {part.strip() for word in words or () for part in word.split(",")}:
        names = ", ".join(network.card.name for network in networks)
        raise InputError(f"--save {FLUID}: {names} seeks no fluid; train with model=with_fluid, or leave it out")
    return replace(outputs, kinds=outputs.kinds - {FLUID})


def read_place(text: str) -> tuple[float, float]:
    """(column, B-scan) from "COLUMN,BSCAN", both 0-based. InputError for anything else."""
    try:
        column, bscan = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--fovea {text}: expected COLUMN,BSCAN, both counted from 0, e.g. 384,30") from None
    return column, bscan


def folder_of(volume: ScanVolume | PredictedVolume, root: Path) -> Path:
    """Where files of a volume go: below root as its source lies, in a folder of its own unless it is one picture."""
    place = root / volume.name
    return place.parent if volume.num_bscans == 1 else place


def working(gated: GatedPredictor, outputs: Outputs, kept: KeptScans, intervals: Intervals | None = None) -> Work:
    """What is done with each scan, in any thread: predict, write its own files, and keep it; or take what was kept."""
    from retseg.inference.scan_files import write_scan_files

    def half_widths(scan: PredictedScan) -> Array | None:
        return None if intervals is None else intervals.half_widths(scan.row_sd, scan.spacing)

    def work(volume: ScanVolume, number: int) -> tuple[PredictedScan, tuple[Path, ...]]:
        if (done := kept.load(volume, number)) is not None:
            return done
        scan = gated.predict(volume, number)
        folder = folder_of(volume, kept.root)
        make_folder(folder)
        paths = tuple(write_scan_files(scan, folder, outputs.kinds, half_widths))
        kept.save(volume, scan, paths)
        return replace(scan, probabilities=None), paths

    return work


def write_volume(
    volume: PredictedVolume, outputs: Outputs, root: Path, intervals: Intervals | None = None
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Write what belongs to a whole volume: the paths, and a notice for what could not be written.

    A single picture gets only what the user named: it has no map.
    """
    from retseg.inference.volume_files import write_volume_files

    kinds = outputs.kinds & set(OF_VOLUMES)
    is_single = volume.num_bscans == 1 and volume.source_dicom is None
    if not kinds or (is_single and not outputs.is_chosen):
        return (), ()
    folder = folder_of(volume, root)
    make_folder(folder)
    paths, notices = write_volume_files(volume, folder, kinds - {"dicom"}, outputs.fovea, intervals)
    if "dicom" in kinds:
        from retseg.inference.dicom_files import write_segmentation

        path = folder / f"{volume.stem}_segmentation.dcm"
        notices = (*notices, *write_segmentation(volume, path))
        source = path.with_name(f"{path.stem}_source.dcm")
        paths = [*paths, path, *([source] if source.is_file() else [])]
    return tuple(paths), tuple(notices)
