"""Scans in whatever files people name: `find_scans` opens all, keeps no pixels, goes on where one is damaged."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retseg.data.readers.held import Shelf
from retseg.data.readers.kinds import Kind
from retseg.data.readers.listing import Listed, list_files
from retseg.data.readers.names import safe_name, safe_part, unique_names
from retseg.data.readers.options import ReadOptions, with_options
from retseg.data.readers.volume import ScanVolume
from retseg.errors import InputError

_Opened = tuple[list[ScanVolume], list[tuple[Path, str]]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What there is below some paths.

    volumes: opened, no pixels kept, in natural order. failures: a file, or a folder, and one line that says why.
    ignored: files of no known kind in folders, and those that are no scans of their own: what `retseg predict` wrote,
    pictures of a Heidelberg .xml, files met before.
    """

    volumes: tuple[ScanVolume, ...]
    failures: tuple[tuple[Path, str], ...] = ()
    ignored: tuple[Path, ...] = ()


def find_scans(paths: Sequence[Path], options: ReadOptions | None = None) -> Found:
    """All scans below paths (files, or folders, recursively), each with a unique name, and the user's options.

    InputError at once where a path is not there or of no known kind, and where a folder holds no scan. A file that
    cannot be opened is a failure, and the others are opened.
    """
    options = options or ReadOptions()
    listing = list_files(paths)
    shelf = Shelf()
    volumes: list[ScanVolume] = []
    names: list[tuple[str, str]] = []
    failures = listing.failures
    for unit in _units(listing.files, options):
        opened, failed = _open(unit, options, shelf)
        failures += failed
        names += _names(opened, unit)
        volumes += opened
    named = (replace(volume, name=name) for volume, name in zip(volumes, unique_names(names), strict=True))
    return Found(tuple(with_options(volume, options) for volume in named), tuple(failures), tuple(listing.ignored))


def _units(files: Iterable[Listed], options: ReadOptions) -> list[list[Listed]]:
    """Files that are opened together: DICOM files of one folder, pictures of one folder if they are a stack."""
    units: dict[tuple[Kind, Path], list[Listed]] = {}
    for file in files:
        is_together = file.kind is Kind.DICOM or (file.kind is Kind.PICTURE and options.is_stack)
        units.setdefault((file.kind, file.path.parent if is_together else file.path), []).append(file)
    return list(units.values())


def _open(unit: Sequence[Listed], options: ReadOptions, shelf: Shelf) -> _Opened:
    """Volumes of a unit, and its failures."""
    paths = [file.path for file in unit]
    kind = unit[0].kind
    if kind is Kind.DICOM:
        return _open_together(paths)
    if kind is Kind.PICTURE and options.is_stack:
        return _open_stack(paths, options, shelf)
    (path,) = paths
    try:
        return _reader(kind)(path, options, shelf), []
    except (InputError, OSError) as error:
        return [], [(path, _line(path, error))]


def _reader(kind: Kind) -> Callable[[Path, ReadOptions, Shelf], list[ScanVolume]]:
    """What opens one file of a kind."""
    if kind is Kind.PICTURE:
        from retseg.data.readers.pictures import open_picture

        return open_picture
    if kind in (Kind.NPY, Kind.NPZ):
        from retseg.data.readers.arrays import open_npy, open_npz

        return open_npy if kind is Kind.NPY else open_npz
    if kind is Kind.HDF5:
        from retseg.data.readers.hdf5_files import open_hdf5_file

        return open_hdf5_file
    if kind is Kind.MATLAB:
        from retseg.data.readers.matlab import open_matlab

        return open_matlab
    from retseg.data.readers.vendor import open_vendor

    return lambda path, options, shelf: open_vendor(path)


def _open_together(paths: Sequence[Path]) -> _Opened:
    """DICOM files of one folder, which may be the B-scans of one series; the damaged ones alone are left out."""
    from retseg.data.readers.dicom import open_dicom

    try:
        return open_dicom(paths), []
    except (InputError, OSError) as error:
        if len(paths) == 1:
            return [], [(paths[0], _line(paths[0], error))]
    failures = []
    for path in paths:
        try:
            open_dicom([path])
        except (InputError, OSError) as error:
            failures.append((path, _line(path, error)))
    damaged = {path for path, _ in failures}
    whole = [path for path in paths if path not in damaged]
    try:
        return (open_dicom(whole) if whole else []), failures
    except (InputError, OSError) as error:
        folder = paths[0].parent
        return [], [*failures, (folder, _line(folder, error))]


def _open_stack(paths: Sequence[Path], options: ReadOptions, shelf: Shelf) -> _Opened:
    """Pictures of one folder as one volume; TIFFs of several pages are volumes of their own."""
    from retseg.data.readers.pictures import num_pages, open_picture, open_stack

    singles: list[Path] = []
    volumes: list[ScanVolume] = []
    failures: list[tuple[Path, str]] = []
    for path in paths:
        try:
            is_volume = path.suffix.lower() in (".tif", ".tiff") and num_pages(path) > 1
        except InputError:
            is_volume = False  # it gets its line, and its place in the stack, below
        if is_volume:
            volumes += open_picture(path, options, shelf)
        else:
            singles.append(path)
    if singles:
        try:
            stack, failures = open_stack(singles)
            volumes += stack
        except InputError as error:
            failures.append((singles[0].parent, str(error)))
    return volumes, failures


def _names(volumes: Sequence[ScanVolume], unit: Sequence[Listed]) -> list[tuple[str, str]]:
    """Wanted name and ending of each volume of a unit: of its file, or of its folder if several files make it."""
    of_file = {file.path: file for file in unit}
    names = []
    for volume in volumes:
        file = of_file.get(volume.path)
        if file is None:
            first = unit[0]
            parts: tuple[str, ...] = first.parts[:-1] or (first.root.resolve().name,)
            ending = ""
        else:
            parts, ending = file.parts, file.ending
        if sum(other.path == volume.path for other in volumes) > 1:
            own = safe_part(volume.name.rpartition("/")[2])
            parts = (*parts[:-1], own if own.startswith(parts[-1]) else f"{parts[-1]}_{own}")
        names.append((safe_name(parts), ending))
    return names


def _line(path: Path, error: Exception) -> str:
    """One line that names the file."""
    line = " ".join(str(error).split())
    return line if isinstance(error, InputError) else f"{path}: cannot be read ({line:.200}); see its permissions"
