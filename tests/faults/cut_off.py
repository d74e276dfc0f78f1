"""Scans for the tests of calls that are cut off."""

from pathlib import Path

import numpy as np
from PIL import Image

from retseg.data.sources.phantom import PhantomSource

SCALE = ("--spacing", "3.87,11.33", "--bscan-distance", "120")


def write_scans(folder: Path) -> Path:
    """Two pictures, a.png and b.png, and volume.tif of three B-scans, 96 x 128, in a new folder."""
    folder.mkdir()
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=3, height=96, width=128)
    grays = [np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8) for key in phantom.keys[:5]]
    first, second, *pages = (Image.fromarray(gray) for gray in grays)
    first.save(folder / "a.png")
    second.save(folder / "b.png")
    pages[0].save(folder / "volume.tif", save_all=True, append_images=pages[1:])
    return folder
