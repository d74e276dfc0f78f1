"""Files that the page gives: pictures for itself, everything of a scan in one zip, and a label file."""

import io
import json
import tempfile
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from retseg import __version__
from retseg.bscan import Array
from retseg.data.readers.volume import ScanVolume
from retseg.inference.predicted import PredictedScan
from retseg.inference.scan_files import write_scan_files
from retseg.view.answers import choice_json, spacing_json
from retseg.view.networks import Choice

KINDS = ("mask", "fluid", "surfaces", "thickness", "overlay")
"""What `retseg predict` writes of a scan, and so does the zip."""

RESEARCH_ONLY = "Research software: not for patients."


def png(plane: Array) -> bytes:
    """A gray picture (H, W) uint8 as a PNG, packed at the quickest level."""
    file = io.BytesIO()
    Image.fromarray(plane).save(file, "PNG", compress_level=1)
    return file.getvalue()


def everything(scan: PredictedScan, volume: ScanVolume, choice: Choice) -> bytes:
    """A zip of the files that `retseg predict` writes of a scan, by the same code, and about.json."""

    def half_widths(shown: PredictedScan) -> Array | None:
        return None if choice.intervals is None else choice.intervals.half_widths(shown.row_sd, shown.spacing)

    packed = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="retseg_view_") as folder:
        paths = write_scan_files(scan, Path(folder), KINDS, half_widths)
        about = Path(folder) / f"{scan.name}_about.json"
        about.write_text(json.dumps(_about(scan, volume, choice), indent=1) + "\n", encoding="utf-8")
        # A zip knows no time before 1980, which is what a clock says that was never set.
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:
            for path in (*paths, about):
                archive.write(path, path.name)
    return packed.getvalue()


def _about(scan: PredictedScan, volume: ScanVolume, choice: Choice) -> dict[str, Any]:
    """What a reader of the files needs beside them."""
    return {
        "made_by": f"retseg view {__version__}",
        "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "use": RESEARCH_ONLY,
        "scan": scan.name,
        "file": volume.path.name,
        "format": volume.format,
        "bscan": scan.number,
        "spacing": spacing_json(volume),
        "answered_by": choice_json(choice),
        "verdict": scan.verdict,
        "findings": [f"{found.level}: {found.reason}" for found in scan.findings],
        "notices": list(volume.notices),
        "columns_with_surfaces": int(np.isfinite(scan.surface_rows).all(axis=0).sum()),
    }
