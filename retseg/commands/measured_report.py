"""What `retseg measure LABELS` prints: mean thickness with its unit and the scale's origin, and what to mind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from retseg.commands.evaluation_report import report_console
from retseg.commands.measured_account import Measured
from retseg.geometry.thickness import NO_SCALE

MOST_LINES = 12


def tell_measured(measured: Measured, output: Path | None) -> None:
    """Tables, notices, failures, and where everything is."""
    console = report_console()
    num_stacks = sum(volume.num_bscans > 1 for volume in measured.volumes)
    num_alone = len(measured.volumes) - num_stacks
    console.print(f"{len(measured.rows)} B-scans measured; {num_stacks} volumes, {num_alone} single scans")
    console.print(_thickness(measured.rows))
    if measured.accounts:
        console.print(_volumes(measured.accounts))
    flagged = [row for row in measured.rows if row["verdict"] != "pass"]
    for row in flagged[:MOST_LINES]:
        console.print(f"  {row['scan']}: {row['reasons']}", style="yellow")
    if len(flagged) > MOST_LINES:
        console.print(f"  ... and {len(flagged) - MOST_LINES} more scans, see scans.csv", style="yellow")
    for what, times in measured.notices.items():
        console.print(f"note: {what}" + (f" ({times} volumes)" if times > 1 else ""))
    for failure in measured.failures[:MOST_LINES]:
        console.print(f"failed: {failure.name}: {failure.reason}", style="red")
    if len(measured.failures) > MOST_LINES:
        console.print(f"  ... and {len(measured.failures) - MOST_LINES} more, see failures.csv", style="red")
    if output is None:
        console.print("nothing is written: give a folder with -o for maps and tables")
    else:
        console.print(f"written to {output}: scans.csv, failures.csv, run.json, files of each scan and volume")


def _volumes(accounts: Sequence[Mapping[str, Any]]) -> Table:
    """Volumes, and where their foveae are: to be looked at, and corrected with --fovea."""
    table = Table("volume", "B-scans", "eye", "fovea at column, B-scan", "confidence", box=None)
    for told in accounts[:MOST_LINES]:
        fovea = told["fovea"]
        place = "" if fovea is None else f"{fovea['column']:.1f}, {fovea['bscan']:.2f} ({fovea['source']})"
        confidence = "" if fovea is None else f"{fovea['confidence']:.2f}"
        bscans = f"{len(told['bscans'])} of {told['bscans_of_volume']}"
        table.add_row(told["volume"], bscans, told["eye"] or "unknown", place, confidence)
    if len(accounts) > MOST_LINES:
        table.add_row(f"... and {len(accounts) - MOST_LINES} more")
    return table


def _thickness(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Mean over scans of each slab's mean thickness, apart for every unit and origin of the scale."""
    table = Table("slab", "mean thickness", "scans", "scale", box=None)
    for source in dict.fromkeys(row["scale_source"] for row in rows):
        of_source = [row for row in rows if row["scale_source"] == source]
        unit = "px" if source == NO_SCALE else "um"
        for name in [name for name in of_source[0] if name.endswith(f" ({unit})")]:
            values = [row[name] for row in of_source if row[name] is not None]
            mean = f"{sum(values) / len(values):.1f} {unit}" if values else "not known"
            table.add_row(name.removesuffix(f" ({unit})"), mean, str(len(values)), source)
    return table
