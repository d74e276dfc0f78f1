"""Surfaces and thickness of one scan as CSV and JSON. S surfaces, L slabs, W columns (A-scans).

CSV: a line for each column, 0-based, and what is not known is empty. Surfaces are rows in px, 0-based from the top of
the image, row r being the upper edge of pixel r; in um they are depths below the top of the image.
"""

import json
from collections.abc import Sequence

import numpy as np

from retseg import __version__
from retseg.anatomy import SURFACE_NAMES
from retseg.bscan import Array, Spacing
from retseg.geometry.thickness import ThicknessProfile
from retseg.inference.predicted import PredictedScan

CONVENTION = "0-based rows; row r is the upper edge of pixel r; null where no surface was found"


def surfaces_csv(scan: PredictedScan) -> str:
    """Columns: column, x_um (from the first column, if known), each surface (px), each in um (if known), each sd (px).

    The columns named as the surfaces are alone what `retseg measure` reads.
    """
    spacing = scan.spacing
    names, values = _places(scan.image.shape[1], spacing)
    names += SURFACE_NAMES
    values.append(scan.surface_rows)
    if spacing.axial_um is not None:
        names += [f"{name} (um)" for name in SURFACE_NAMES]
        values.append(scan.surface_rows * spacing.axial_um)
    names += [f"{name} sd (px)" for name in SURFACE_NAMES]
    values.append(scan.row_sd)
    return _csv(names, values)


def thickness_csv(profile: ThicknessProfile, spacing: Spacing, half_widths: Array | None = None) -> str:
    """Columns: column, x_um (if known), each slab in the profile's unit; with half_widths (L, W) its low and high.

    A low end below 0 is 0: no layer is thinner than nothing.
    """
    names, values = _places(profile.values.shape[1], spacing)
    names += [f"{slab.name} ({profile.unit})" for slab in profile.slabs]
    values.append(profile.values)
    if half_widths is not None:
        for slab, thickness, half_width in zip(profile.slabs, profile.values, half_widths, strict=True):
            names += [f"{slab.name} low ({profile.unit})", f"{slab.name} high ({profile.unit})"]
            values.append(np.stack([np.maximum(thickness - half_width, 0), thickness + half_width]))
    return _csv(names, values)


def surfaces_json(scan: PredictedScan) -> str:
    """The scan's surfaces with their spread, its scale and where that comes from, its verdict, and the convention."""
    spacing = scan.spacing
    head = {
        "scan": scan.name,
        "bscan": scan.number,
        "rows": scan.image.shape[0],
        "columns": scan.image.shape[1],
        "axial_um": spacing.axial_um,
        "lateral_um": spacing.lateral_um,
        "scale_source": spacing.source,
        "verdict": scan.verdict,
        "findings": [
            {"level": finding.level, "rule": finding.rule, "reason": finding.reason} for finding in scan.findings
        ],
        "convention": CONVENTION,
        "retseg": __version__,
    }
    lists = {
        "rows_px": _json_table(SURFACE_NAMES, scan.surface_rows, 2),
        "sd_px": _json_table(SURFACE_NAMES, scan.row_sd, 3),
        "confidence": _json_list(scan.confidence, 3),
    }
    if spacing.axial_um is not None:
        lists["depth_um"] = _json_table(SURFACE_NAMES, scan.surface_rows * spacing.axial_um, 2)
    body = ",\n".join(f'"{name}": {text}' for name, text in lists.items())
    return json.dumps(head, ensure_ascii=False)[:-1] + f",\n{body}\n}}\n"


def _places(num_columns: int, spacing: Spacing) -> tuple[list[str], list[Array]]:
    """Names and values (1, W) of the columns that say where an A-scan lies."""
    columns = np.arange(num_columns, dtype=np.float64)[None]
    if spacing.lateral_um is None:
        return ["column"], [columns]
    return ["column", "x_um"], [columns, columns * spacing.lateral_um]


def _csv(names: Sequence[str], values: Sequence[Array]) -> str:
    """A table of columns (K, W) in all, two decimals each, whole numbers in the first. Nan is empty."""
    return ",".join(names) + "\n" + number_lines(np.concatenate(values).T, 2, num_whole=1)


def _json_list(values: Array, decimals: int) -> str:
    return f"[{number_lines(values[None], decimals, 'null')[:-1]}]"


def _json_table(names: Sequence[str], values: Array, decimals: int) -> str:
    lines = number_lines(values, decimals, "null").splitlines()
    return "{\n" + ",\n".join(f'"{name}": [{line}]' for name, line in zip(names, lines, strict=True)) + "}"


def number_lines(table: Array, decimals: int, unknown: str = "", num_whole: int = 0) -> str:
    """A line for each row of a table (R, K): numbers of so many decimals, parted by commas; nan is the word `unknown`.

    The first num_whole columns are written without decimals. All digits are worked out at once, as characters
    (R, K, width) of which some are kept: formatting number by number takes six times as long.
    """
    is_known = np.isfinite(table)
    scaled = np.rint(np.where(is_known, table, 0) * 10.0**decimals)
    rest: Array = np.abs(scaled).astype(np.uint64 if np.abs(scaled).max(initial=0) >= 2**32 else np.uint32)
    num_digits = max(len(str(int(rest.max(initial=0)))), decimals + 1)
    width = max(num_digits + 3, len(unknown) + 1)  # besides digits: sign, point, comma
    text = np.full((*table.shape, width), ord("-"), np.uint8)
    is_kept = np.zeros(text.shape, np.bool_)
    is_kept[..., 0] = scaled < 0
    for digit in range(num_digits):
        place = width - 2 - digit - (digit >= decimals)
        is_kept[..., place] = is_known & ((rest > 0) | (digit <= decimals))
        higher = rest // 10
        text[..., place] = rest - 10 * higher + ord("0")
        rest = higher
    point = width - 2 - decimals
    text[..., point], is_kept[..., point] = ord("."), is_known
    is_kept[:, :num_whole, point:-1] = False
    text[~is_known, : len(unknown)] = np.frombuffer(unknown.encode(), np.uint8)
    is_kept[..., : len(unknown)] |= ~is_known[..., None]
    text[..., -1], is_kept[..., -1] = ord(","), True
    text[:, -1, -1] = ord("\n")
    return text[is_kept].tobytes().decode("ascii")
