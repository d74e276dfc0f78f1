"""What `retseg calibrate` prints: errors, spread, factors and coverage by layer, and what to make of them."""

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from retseg.bscan import Array
from retseg.commands.calibration import Found
from retseg.commands.evaluation_report import report_console
from retseg.geometry.thickness import SLABS
from retseg.inference.calibration import Calibrated
from retseg.inference.intervals import KINDS, mean_over

LEGEND = (
    "sd: what the network says of itself. half-width: factor x sd, of the mean column. Coverage: share of true "
    "thicknesses inside, of each subject by factors of the others: mean over subjects, lowest subject in brackets."
)


def tell_calibration(found: Found) -> None:
    """Print a table a level."""
    console, scans = report_console(), found.scans
    subjects = found.calibrated[0].subjects
    console.print(
        f"{found.mode.words}: {len(found.scores)} {scans.side} scans of {len(subjects)} subjects, "
        f"{scans.source.name}, labels {scans.source.label_origin} [{scans.stamp}]"
    )
    for calibrated in found.calibrated:
        _print_level(console, found, calibrated)
    console.print(LEGEND)
    for notice in found.notices:
        console.print(f"note: {notice}")
    console.print(f"written to {', '.join(str(path) for path in found.written)}")


def _print_level(console: Console, found: Found, calibrated: Calibrated) -> None:
    units = {score.unit for score in found.scores}
    unit = units.pop() if len(units) == 1 else "um and px"
    table = Table(title=f"{calibrated.level:.0%} intervals, {unit}", title_justify="left", box=None)
    for name in ("layer", "mean error", "sd", "factor", "half-width", *(f"coverage, {kind}" for kind in KINDS)):
        table.add_column(name, justify="left" if name == "layer" else "right")
    error, sd = _mean([score.error for score in found.scores]), _mean([score.sd for score in found.scores])
    for place, slab in enumerate(SLABS):
        factor = calibrated.factors["columns"][place]
        shares = [calibrated.coverage[kind][place] for kind in KINDS]
        table.add_row(
            slab.name,
            f"{error[place]:.2f}",
            f"{sd[place]:.2f}",
            f"{factor:.2f}" if np.isfinite(factor) else "-",
            f"{factor * sd[place]:.2f}" if np.isfinite(factor) else "-",
            *(_coverage(share) for share in shares),
        )
    console.print(table)


def _mean(values: Sequence[Array]) -> Array:
    """Mean (L,) over scans of what is known of each (L,)."""
    stacked = np.stack(list(values), axis=1)
    return mean_over(stacked, np.isfinite(stacked))


def _coverage(shares: Array) -> str:
    known = shares[np.isfinite(shares)]
    return f"{known.mean():.1%} ({known.min():.0%})" if known.size else "too few scans"
