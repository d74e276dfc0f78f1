"""What the user says of scans beside their files, and how it comes together with what the files say."""

from dataclasses import dataclass, replace

from retseg.bscan import Eye, Spacing
from retseg.data.readers.volume import ScanVolume
from retseg.geometry.volume_map import BScanDistance, Vertical

AGREEMENT = 0.01
"""The user and a file say the same where they differ by at most this share."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Said of every scan of a call; None: what the file says, or unknown.

    spacing: size of a pixel; a direction that is None leaves the file's. distance: of neighbouring B-scans, for volumes
    alone. is_stack: the pictures of one folder are the B-scans of one volume, in natural order of their names.
    array_key: name of the array to read in .npz, HDF5 and .mat files that hold several.
    """

    spacing: Spacing | None = None
    distance: BScanDistance | None = None
    eye: Eye | None = None
    first_bscan: Vertical | None = None
    is_stack: bool = False
    array_key: str | None = None


def with_options(volume: ScanVolume, options: ReadOptions) -> ScanVolume:
    """The volume with the user's word in place of its file's, and a notice for each place where the two disagree."""
    notices: list[str] = []
    spacing = _merged_spacing(volume.spacing, options.spacing, notices)
    distance = volume.distance
    if options.distance is not None and volume.num_bscans > 1:
        if distance is not None:
            said = (options.distance.um, options.distance.source)
            _compare("distance of B-scans", said, (distance.um, distance.source), notices)
        distance = options.distance
    for name, word, of_file in (
        ("eye", options.eye, volume.eye),
        ("first B-scan", options.first_bscan, volume.first_bscan),
    ):
        if word is not None and of_file is not None and word != of_file:
            notices.append(f"{name} {word} by the user, {of_file} by the file; the user's is used")
    return replace(
        volume,
        spacing=spacing,
        distance=distance,
        eye=options.eye or volume.eye,
        first_bscan=options.first_bscan or volume.first_bscan,
        notices=(*volume.notices, *notices),
    )


def _merged_spacing(found: Spacing, said: Spacing | None, notices: list[str]) -> Spacing:
    """Each direction by the user where the user gave it, else by the file; its source names both where both count."""
    if said is None or (said.axial_um is None and said.lateral_um is None):
        return found
    pairs = (("axial", said.axial_um, found.axial_um), ("lateral", said.lateral_um, found.lateral_um))
    for direction, said_um, found_um in pairs:
        if said_um is not None and found_um is not None:
            _compare(f"{direction} pixel size", (said_um, said.source), (found_um, found.source), notices)
    sources = {
        direction: said.source if said_um is not None else found.source
        for direction, said_um, found_um in pairs
        if said_um is not None or found_um is not None
    }
    is_one = len(set(sources.values())) == 1
    source = said.source if is_one else ", ".join(f"{direction} by {who}" for direction, who in sources.items())
    axial_um, lateral_um = (found_um if said_um is None else said_um for _, said_um, found_um in pairs)
    return Spacing(axial_um, lateral_um, source)


def _compare(what: str, said: tuple[float, str], found: tuple[float, str], notices: list[str]) -> None:
    """Add a notice where two sizes in um, each with who gave it, differ by more than AGREEMENT."""
    if abs(said[0] - found[0]) > AGREEMENT * found[0]:
        notices.append(f"{what} {said[0]:g} um by {said[1]}, {found[0]:g} um by {found[1]}; the first is used")
