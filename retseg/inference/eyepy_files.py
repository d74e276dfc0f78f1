"""A volume as an eyepy EyeVolume with its surfaces as layers (https://github.com/MedVisBonn/eyepy), file ending .eye.

eyepy measures layers as heights in rows, as retseg does: row r of a surface is the upper edge of pixel r. Only the
B-scans at hand are in it; each says its number.
"""

import logging
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np

from retseg.anatomy import SURFACE_NAMES
from retseg.errors import InputError
from retseg.evaluation.atomic import replacing_file
from retseg.inference.predicted import PredictedVolume


def write_eyepy(volume: PredictedVolume, path: Path) -> None:
    """Write a volume whose B-scans are of one size. InputError where eyepy is missing or they are not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own dependencies, on import
            eyepy = import_module("eyepy")  # so that type checks need no stubs of it
    except ImportError as error:
        raise InputError("eyepy: not installed, so no .eye; `pip install 'retseg[vendor]'` or leave it out") from error
    if len({scan.image.shape for scan in volume.scans}) > 1:
        raise InputError(f"{volume.name}: B-scans differ in size, so no .eye; leave it out with --save")
    spacing, distance = volume.spacing, volume.distance
    is_known = spacing.axial_um is not None and spacing.lateral_um is not None and distance is not None
    unit = 1e-3 if is_known else 1.0
    scale_x = (spacing.lateral_um or 1.0) * unit if is_known else 1.0
    scale_y = (spacing.axial_um or 1.0) * unit if is_known else 1.0
    scale_z = distance.um * unit if is_known and distance is not None else 1.0
    width = volume.scans[0].image.shape[1]
    metas = [
        eyepy.EyeBscanMeta(
            start_pos=(0, scan.number * scale_z),
            end_pos=((width - 1) * scale_x, scan.number * scale_z),
            pos_unit="mm" if is_known else "px",
            retseg_bscan=scan.number,
        )
        for scan in volume.scans
    ]
    meta = eyepy.EyeVolumeMeta(
        scale_x=scale_x,
        scale_y=scale_y,
        scale_z=scale_z,
        scale_unit="mm" if is_known else "px",
        laterality=volume.eye or "unknown",
        bscan_meta=metas,
        intensity_transform="default",
        retseg_scale_source=spacing.source,
    )
    logging.getLogger("eyepy").setLevel(logging.ERROR)
    whole = eyepy.EyeVolume(data=np.stack([scan.image for scan in volume.scans]), meta=meta)
    for number, name in enumerate(SURFACE_NAMES):
        heights = np.stack([scan.surface_rows[number] for scan in volume.scans])
        whole.add_layer_annotation(heights, name=name)
    with replacing_file(path) as partial:
        whole.save(partial)
