"""How large a training scan's window and its pixels are: what prediction needs to show a network the same scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retseg.bscan import ScanKey
from retseg.data.source import ScanSource
from retseg.data.transforms import Crop
from retseg.errors import InputError


@dataclass(frozen=True, slots=True)
class TrainingScan:
    """shape (H, W) of the window before it is resized; (axial, lateral) um of its pixels, None if unknown; by whom.

    varies: whether scans are of many pixel sizes, and this is the middle one.
    """

    shape: tuple[int, int]
    spacing_um: tuple[float, float] | None
    spacing_source: str
    varies: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain JSON."""
        spacing_um = None if self.spacing_um is None else list(self.spacing_um)
        return {
            "shape": list(self.shape),
            "spacing_um": spacing_um,
            "source": self.spacing_source,
            "varies": self.varies,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any], place: str) -> "TrainingScan":
        """The inverse of `to_json`. InputError, which begins with `place`, where it is damaged."""
        try:
            (height, width), spacing_um = content["shape"], content["spacing_um"]
            um = None if spacing_um is None else (float(spacing_um[0]), float(spacing_um[1]))
            return cls((int(height), int(width)), um, str(content["source"]), bool(content.get("varies", False)))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise InputError(f"{place}: data.scan is damaged ({error!r}); train the run again") from error


def training_scan(source: ScanSource, key: ScanKey, window: Crop | None) -> TrainingScan:
    """That of one scan of a source, which stands for all; a source of unlike scans says what is typical of them."""
    scan = source.read(key)
    seen = scan if window is None else window(scan)
    spacing = getattr(source, "typical_spacing", seen.spacing)
    axial_um, lateral_um = spacing.axial_um, spacing.lateral_um
    spacing_um = None if axial_um is None or lateral_um is None else (axial_um, lateral_um)
    return TrainingScan(seen.shape, spacing_um, spacing.source, hasattr(source, "typical_spacing"))
