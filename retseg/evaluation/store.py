"""Saved predictions: a folder each for predictions, truth and second graders, `<scan>.npz` in each, and network.npz.

What is read back gives the same numbers to the last digit. `retseg measure` reads the folders as anybody's labels.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from retseg.anatomy import IGNORE, NUM_CLASSES, NUM_SURFACES
from retseg.bscan import Array, Spacing
from retseg.data.sources.pixels import stated_spacing
from retseg.errors import InputError, one_line
from retseg.evaluation.atomic import replacing_file, replacing_folder
from retseg.evaluation.case import Case, NetworkSums
from retseg.evaluation.fluid_record import FluidCase
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.record import ScanRecord
from retseg.metrics.calibration import CalibrationSums

PREDICTIONS, TRUTH, SECOND, NETWORK = "predictions", "truth", "second", "network.npz"
FLUID, FLUID_OUTSIDE = "fluid", "fluid_outside"
"""Names of arrays, there where fluid is sought: fluid (H, W) int8 of 1, 0, IGNORE; pixels of true fluid outside it."""
LARGEST_BYTES = 2**30
"""What a file may declare to hold: a small file can declare a disk full."""


class CaseWriter:
    """Folders of saved scans that are being filled."""

    def __init__(self, folders: Mapping[str, Path], label_origin: str) -> None:
        self._folders, self._label_origin = folders, label_origin

    def add(self, case: Case) -> None:
        """Save one scan."""
        labellings = {PREDICTIONS: case.prediction, TRUTH: case.truth, SECOND: case.second}
        fluids = _fluids(case.fluid)
        for kind, labelling in labellings.items():
            if labelling is None:
                continue
            arrays = {
                "mask": labelling.mask,
                "surface_rows": labelling.surface_rows,
                "spacing_um": np.array([_or_nan(case.spacing.axial_um), _or_nan(case.spacing.lateral_um)]),
                "spacing_source": np.array(case.spacing.source),
                "subject": np.array(case.subject),
                "label_origin": np.array("network" if kind == PREDICTIONS else self._label_origin),
            }
            if kind == TRUTH and case.image is not None:
                arrays["image"] = case.image
            arrays |= fluids[kind]
            write_npz(self._folders[kind] / f"{case.name}.npz", arrays)


def _fluids(fluid: FluidCase | None) -> dict[str, dict[str, Array]]:
    """What each folder's file says of a scan's fluid; nothing where none was sought."""
    if fluid is None:
        return {PREDICTIONS: {}, TRUTH: {}, SECOND: {}}
    truth = {FLUID: fluid.truth, FLUID_OUTSIDE: np.array(fluid.num_outside)}
    second = {} if fluid.second is None else {FLUID: fluid.second}
    return {PREDICTIONS: {FLUID: fluid.found.astype(np.int8)}, TRUTH: truth, SECOND: second}


@contextmanager
def saving_cases(folder: Path, label_origin: str) -> Iterator[CaseWriter]:
    """Save scans into predictions/, truth/ and second/ of a folder; the three are there together, when all is well."""
    with ExitStack() as stack:
        kinds = (PREDICTIONS, TRUTH, SECOND)
        yield CaseWriter({k: stack.enter_context(replacing_folder(folder / k)) for k in kinds}, label_origin)


def load_case(folder: Path, name: str, network: NetworkSums | None = None) -> Case:
    """A saved scan of a folder. InputError where it is missing or damaged."""
    truth, arrays = load_labelling(folder / TRUTH / f"{name}.npz")
    prediction, found = load_labelling(folder / PREDICTIONS / f"{name}.npz")
    path = folder / SECOND / f"{name}.npz"
    second, other = load_labelling(path) if path.exists() else (None, {})
    return Case(
        name=name,
        subject=str(arrays["subject"]),
        prediction=prediction,
        truth=truth,
        second=second,
        spacing=saved_spacing(arrays, path),
        image=arrays.get("image"),
        network=network,
        fluid=_saved_fluid(folder / TRUTH / f"{name}.npz", found, arrays, other),
    )


def _saved_fluid(
    path: Path, found: Mapping[str, Array], truth: Mapping[str, Array], second: Mapping[str, Array]
) -> FluidCase | None:
    """The fluid in a scan's saved arrays; None where none was sought. InputError where the files do not agree."""
    planes = [arrays[FLUID] for arrays in (found, truth, second) if FLUID in arrays]
    if not planes:
        return None
    is_whole = FLUID in found and FLUID in truth and FLUID_OUTSIDE in truth
    if not is_whole or any(plane.shape != truth["mask"].shape or plane.dtype != np.int8 for plane in planes):
        raise InputError(f"{path}: its fluid is not what `retseg evaluate` saves; run it again with --fresh")
    return FluidCase(found[FLUID] == 1, truth[FLUID], second.get(FLUID), int(truth[FLUID_OUTSIDE]))


def saved_spacing(arrays: Mapping[str, Array], path: Path) -> Spacing:
    """The pixel size in a saved scan; nan is unknown. InputError for what is no pixel size."""
    sizes = arrays["spacing_um"]
    if sizes.shape != (2,) or sizes.dtype.kind != "f":
        raise InputError(f"{path}: spacing_um {sizes.shape} of {sizes.dtype}, expected two sizes in um; save it again")
    return stated_spacing(sizes.tolist(), str(arrays["spacing_source"]), path)


def load_labelling(path: Path) -> tuple[Labelling, dict[str, Array]]:
    """Labels in a file that `saving_cases` wrote, and all its arrays. InputError where it is another kind of file."""
    arrays = read_npz(path)
    mask, surface_rows = arrays.get("mask"), arrays.get("surface_rows")
    if mask is None or surface_rows is None or mask.ndim != 2 or surface_rows.shape != (NUM_SURFACES, mask.shape[1]):
        raise InputError(f"{path}: not a scan that `retseg evaluate` saved; run it again with --fresh")
    if mask.min() < IGNORE or mask.max() >= NUM_CLASSES:
        raise InputError(f"{path}: labels {mask.min()}..{mask.max()}, expected {IGNORE}..{NUM_CLASSES - 1}")
    return Labelling(mask.astype(np.int8), surface_rows.astype(np.float32)), arrays


def save_network(path: Path, records: Sequence[ScanRecord]) -> None:
    """What only probabilities tell of scans, in one file; nothing is written where there are none."""
    known = [(record.name, record.network) for record in records if record.network is not None]
    if not known:
        path.unlink(missing_ok=True)
        return
    sums = [network for _, network in known]
    arrays = {
        "names": np.array([name for name, _ in known]),
        "confusion": np.stack([scan.confusion.numpy() for scan in sums]),
        "true_probability": np.array([scan.true_probability for scan in sums]),
        "num_pixels": np.array([scan.num_pixels for scan in sums]),
    }
    for field in ("nll", "counts", "confidence", "hits", "num_pixels"):
        arrays[f"calibration_{field}"] = np.stack([getattr(scan.calibration, field).numpy() for scan in sums])
    with replacing_file(path) as partial:
        write_npz(partial, arrays)


def load_network(path: Path) -> dict[str, NetworkSums]:
    """What `save_network` wrote, by scan; nothing where there is no file."""
    if not path.exists():
        return {}
    arrays = read_npz(path)
    try:
        planes = {name: torch.from_numpy(values) for name, values in arrays.items() if name != "names"}
        fields = [planes[f"calibration_{field}"] for field in ("nll", "counts", "confidence", "hits", "num_pixels")]
        scans = zip(arrays["names"], planes["confusion"], *(arrays[n] for n in ("true_probability", "num_pixels")),
                    *fields, strict=True)  # fmt: skip
        return {str(n): NetworkSums(c, float(p), int(k), CalibrationSums(*sums)) for n, c, p, k, *sums in scans}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not what `retseg evaluate` saves ({error}); run it again with --fresh") from error


def write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    """Arrays as an .npz, the same bytes at any time. Masks are packed: a thirtieth in a millisecond; noise is not."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, values in arrays.items():
            file = io.BytesIO()
            np.lib.format.write_array(file, np.asanyarray(values), allow_pickle=False)
            member = zipfile.ZipInfo(f"{name}.npy")  # of 1980: a clock before that would be an error
            member.compress_type = zipfile.ZIP_DEFLATED if name in ("mask", FLUID) else zipfile.ZIP_STORED
            archive.writestr(member, file.getvalue(), compresslevel=1)


def read_npz(path: Path) -> dict[str, Array]:
    """All arrays of an .npz. InputError where it is missing, damaged, pickled, or declares to be huge."""
    try:
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
            if declared > LARGEST_BYTES:
                raise InputError(f"{path}: declares {declared:,} bytes, at most {LARGEST_BYTES:,} are read")
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}  # bytes where a member is no .npy
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; make it again") from error
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, MemoryError, RuntimeError) as error:
        raise InputError(f"{path}: not a whole .npz file ({one_line(error)}); make it again") from error
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{path}: no plain arrays ({error}); save numbers without pickle") from error


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
