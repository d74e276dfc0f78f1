"""The images that labels were drawn in: they show what was measured, and often know the scale."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from retseg.bscan import Spacing
from retseg.data.readers.find import find_scans
from retseg.data.readers.options import ReadOptions
from retseg.data.readers.volume import RawBScan, ScanVolume
from retseg.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Volumes and single pictures, by their whole name, and by the last part of it, None where several have it."""

    place: Path
    by_name: Mapping[str, ScanVolume]
    by_stem: Mapping[str, ScanVolume | None]

    def joined(self, source: ScanVolume, names: Mapping[int, str]) -> ScanVolume:
        """Labels of a volume with their images; what labels do not know is taken from these. names: of the scans.

        InputError where a scan has no image, or several are called like it.
        """
        volume = self._find(source.name)
        is_stack = source.num_bscans > 1
        if volume is not None and (volume.num_bscans > 1) == is_stack and set(source.numbers) <= set(volume.numbers):
            pictures = dict.fromkeys(source.numbers, volume)
            source = replace(source, num_bscans=volume.num_bscans)
        else:
            pictures = {number: self._picture(name) for number, name in names.items()}
        first = pictures[source.numbers[0]]
        is_one_scale = len({picture.spacing for picture in pictures.values()}) == 1
        notices = dict.fromkeys(line for picture in pictures.values() for line in picture.notices)
        return replace(
            source,
            spacing=first.spacing if is_one_scale and source.spacing == Spacing() else source.spacing,
            distance=source.distance or (first.distance if is_stack else None),
            is_raster=first.is_raster,
            eye=source.eye or first.eye,
            first_bscan=first.first_bscan,
            subject=source.subject or first.subject,
            read=partial(_read, pictures),
            notices=(*source.notices, *notices),
        )

    def _find(self, name: str) -> ScanVolume | None:
        """What is called like that, as a whole or else in the last part of its name."""
        stem = name.rpartition("/")[2]
        if name not in self.by_name and stem in self.by_stem and self.by_stem[stem] is None:
            raise InputError(
                f"--images {self.place}: several are called {stem}; name the folder that holds the right one"
            )
        return self.by_name.get(name) or self.by_stem.get(stem)

    def _picture(self, name: str) -> ScanVolume:
        """The single picture of a scan."""
        found = self._find(name)
        if found is None or found.num_bscans > 1:
            raise InputError(f"--images {self.place}: no image is called {name}; name them as the labels are")
        return found


def find_images(place: Path) -> Images:
    """Images below a folder, or one file. InputError where there is none, or one cannot be read."""
    found = find_scans([place], ReadOptions())
    if found.failures:
        raise InputError(f"--images: {found.failures[0][1]}")
    by_stem: dict[str, ScanVolume | None] = {}
    for volume in found.volumes:
        stem = volume.name.rpartition("/")[2]
        by_stem[stem] = None if stem in by_stem else volume
    return Images(place, {volume.name: volume for volume in found.volumes}, by_stem)


def _read(pictures: Mapping[int, ScanVolume], number: int) -> RawBScan:
    """The image of B-scan `number`."""
    volume = pictures[number]
    return volume.read(number if volume.num_bscans > 1 else volume.numbers[0])
