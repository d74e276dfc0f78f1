"""A picture of one scan to look at: the scan, its layers beside it, how sure the network was, and the verdict.

Drawn by Pillow in a few milliseconds, since every scan of a folder gets one. H rows, W columns of the scan.
"""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from retseg.anatomy import CLASSES, LAYERS
from retseg.bscan import Array
from retseg.geometry.thickness import mean_thickness, thickness_profile
from retseg.inference.fluid_tables import FLUID_MM2, FLUID_PX, fluid_cells
from retseg.inference.predicted import PredictedScan

HEADER_PX, STRIP_PX, FOOTER_PX, MARGIN_PX = 26, 10, 44, 8
LEAST_WIDTH_PX = 640
"""Of the picture, so that names and thickness of all layers find room below a narrow scan."""
TINT = 0.42
"""Share of a layer's colour in a pixel of it."""
INK, PAPER, FAINT = (235, 235, 235), (17, 17, 17), (150, 150, 150)
VERDICT_COLOURS = {"pass": (0, 158, 115), "check": (230, 159, 0), "fail": (213, 94, 0)}
FLUID_COLOUR = (160, 255, 255)
"""sRGB of fluid, a pale cyan that no layer has."""
FLUID_TINT = 0.6
LENGTHS_UM = (50, 100, 200, 500, 1000, 2000)


def draw_preview(scan: PredictedScan, mask: Array) -> Image.Image:
    """RGB picture: the plain scan left; right layers of its mask (H, W), fluid, surfaces; below columns' confidence."""
    gray = scan.image
    height, width = gray.shape
    size = max(2 * width + 3 * MARGIN_PX, LEAST_WIDTH_PX), HEADER_PX + height + STRIP_PX + FOOTER_PX
    canvas = Image.new("RGB", size, PAPER)
    left, right = MARGIN_PX, width + 2 * MARGIN_PX
    canvas.paste(Image.fromarray(gray), (left, HEADER_PX))
    canvas.paste(Image.fromarray(_tinted(scan, mask)), (right, HEADER_PX))
    strip = np.broadcast_to(_confidence_colours(scan.confidence), (STRIP_PX - 3, width, 3))
    canvas.paste(Image.fromarray(np.ascontiguousarray(strip)), (right, HEADER_PX + height + 3))
    pen = ImageDraw.Draw(canvas)
    _write_header(pen, scan, canvas.width)
    _draw_scale(pen, scan, (left, HEADER_PX + height))
    _write_footer(pen, scan, HEADER_PX + height + STRIP_PX, canvas.width)
    return canvas


def _tinted(scan: PredictedScan, mask: Array) -> Array:
    """RGB (H, W, 3): gray levels with the colour of each pixel's layer, and the surfaces as thin bright lines."""
    picture = np.repeat(scan.image[:, :, None], 3, axis=2)
    is_layer = mask > 0
    picture[is_layer] = _tints()[mask[is_layer].astype(np.intp) * 256 + scan.image[is_layer]]
    if scan.fluid is not None:
        gray = scan.image[scan.fluid].astype(np.float64)[:, None]
        picture[scan.fluid] = np.rint((1 - FLUID_TINT) * gray + FLUID_TINT * np.array(FLUID_COLOUR)).astype(np.uint8)
    known = np.isfinite(scan.surface_rows)
    rows = np.clip(np.rint(np.where(known, scan.surface_rows, 0)), 0, scan.image.shape[0] - 1).astype(np.intp)
    columns = np.broadcast_to(np.arange(rows.shape[1]), rows.shape)
    picture[rows[known], columns[known]] = (255, 255, 255)
    return picture


@lru_cache(maxsize=1)
def _tints() -> Array:
    """RGB (classes * 256, 3) uint8 of each class at each gray level; the background has no colour."""
    gray = np.arange(256, dtype=np.float64)[None, :, None]
    colours = np.array([layer.colour for layer in CLASSES], np.float64)[:, None, :]
    share = np.array([0.0] + [TINT] * len(LAYERS))[:, None, None]
    return np.rint((1 - share) * gray + share * colours).astype(np.uint8).reshape(-1, 3)


def _confidence_colours(confidence: Array) -> Array:
    """RGB (1, W, 3) uint8: from orange at 0.5 and below to bluish white at 1; gray where there is no retina."""
    sure = np.clip((np.nan_to_num(confidence) - 0.5) / 0.5, 0, 1)[:, None]
    low, high = np.array(VERDICT_COLOURS["fail"], np.float64), np.array([225.0, 240.0, 255.0])
    colours = np.where(np.isfinite(confidence)[:, None], low + sure * (high - low), 60.0)
    return np.rint(colours).astype(np.uint8)[None]


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _write_header(pen: ImageDraw.ImageDraw, scan: PredictedScan, width: int) -> None:
    """Name, verdict and the worst reason, cut to the width."""
    colour = VERDICT_COLOURS[scan.verdict]
    pen.rectangle((MARGIN_PX, 7, MARGIN_PX + 12, 19), fill=colour)
    reasons = [finding.reason for finding in scan.findings if finding.level == scan.verdict]
    words = f"{scan.name}   {scan.verdict}" + (f": {reasons[0]}" if reasons else "")
    pen.text((MARGIN_PX + 20, 5), _cut(pen, words, width - 40), fill=INK, font=_font(14))


def _cut(pen: ImageDraw.ImageDraw, words: str, width: int) -> str:
    """The words, with an ellipsis where they are longer than width px."""
    if pen.textlength(words, font=_font(14)) <= width:
        return words
    while words and pen.textlength(words + "...", font=_font(14)) > width:
        words = words[:-4]
    return words + "..."


def _write_footer(pen: ImageDraw.ImageDraw, scan: PredictedScan, top: int, width: int) -> None:
    """Legend of the layers with their mean thickness, of fluid with its area, and what the strip means."""
    profile = thickness_profile(scan.surface_rows, scan.spacing)
    means = mean_thickness(profile)[0]
    entries = [
        (layer.name, layer.colour, f"{mean:.1f} {profile.unit}" if np.isfinite(mean) else "-")
        for layer, mean in zip(LAYERS, means, strict=False)
    ]
    if scan.fluid is not None:
        entries.append(("fluid", FLUID_COLOUR, _fluid_area(scan)))
    step = (width - 2 * MARGIN_PX) / len(entries)
    for number, (name, colour, value) in enumerate(entries):
        x = MARGIN_PX + number * step
        pen.rectangle((x, top + 5, x + 10, top + 15), fill=colour)
        pen.text((x + 15, top + 2), name, fill=INK, font=_font(12))
        pen.text((x + 15, top + 17), value, fill=FAINT, font=_font(11))
    words = _about_confidence(scan)
    pen.text((width - MARGIN_PX, top + 30), words, fill=FAINT, font=_font(11), anchor="ra")
    source = f"scale: {scan.spacing.source}" if scan.spacing.axial_um is not None else "scale unknown: pixels"
    pen.text((MARGIN_PX, top + 30), source, fill=FAINT, font=_font(11))


def _fluid_area(scan: PredictedScan) -> str:
    """Area of a scan's fluid with its unit."""
    cells = fluid_cells(scan)
    return f"{cells[FLUID_PX]} px" if cells[FLUID_MM2] is None else f"{cells[FLUID_MM2]:.3f} mm2"


def _about_confidence(scan: PredictedScan) -> str:
    """What the strip shows; labels that somebody else made have surfaces without confidence."""
    sure = scan.confidence[np.isfinite(scan.confidence)]
    if sure.size:
        return f"strip: confidence of each column, mean {sure.mean():.2f}"
    return "confidence unknown" if np.isfinite(scan.surface_rows).any() else "no retina found"


def _draw_scale(pen: ImageDraw.ImageDraw, scan: PredictedScan, corner: tuple[int, int]) -> None:
    """White bars at the lower left corner (x, y), one a direction whose scale is known, with their length."""
    height, width = scan.image.shape
    x, y = corner[0] + 10, corner[1] - 12
    if scan.spacing.lateral_um is not None:
        length_um, length_px = _bar(width, scan.spacing.lateral_um)
        pen.line((x, y, x + length_px, y), fill=(255, 255, 255), width=2)
        pen.text((x + length_px + 5, y - 8), f"{length_um} um", fill=(255, 255, 255), font=_font(11))
    if scan.spacing.axial_um is not None:
        length_um, length_px = _bar(height, scan.spacing.axial_um)
        pen.line((x, y - length_px, x, y), fill=(255, 255, 255), width=2)
        pen.text((x + 5, y - length_px - 4), f"{length_um} um", fill=(255, 255, 255), font=_font(11))


def _bar(size_px: int, um: float) -> tuple[int, float]:
    """The round length in um nearest to a sixth of a size, and its px."""
    length_um = min(LENGTHS_UM, key=lambda length: abs(length - size_px * um / 6))
    return length_um, length_um / um
