"""What `retseg predict` prints: what it is about to do, each scan if asked, and what came of it."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from retseg.commands.evaluation_report import report_console
from retseg.commands.prediction_account import Account
from retseg.data.readers.find import Found
from retseg.data.readers.volume import ScanVolume
from retseg.inference.fluid_tables import FLUID_MM2, FLUID_PX
from retseg.inference.gate import GatedPredictor
from retseg.inference.outputs import Outputs

MOST_LINES = 12
STYLES = {"pass": "green", "check": "yellow", "fail": "red"}


def tell_start(found: Found, gated: GatedPredictor, num_done: int = 0) -> None:
    """What was found, which networks look at it, and how many scans an earlier call has done."""
    console = report_console()
    num_scans = _num_scans(found)
    words = f"B-scans: {num_scans}, of volumes or pictures: {len(found.volumes)}"
    if found.failures:
        words += f"; {len(found.failures)} files cannot be read"
    if found.ignored:
        words += f"; {len(found.ignored)} files of other kinds left alone"
    console.print(f"{words}\n{_networks(gated)}")
    if num_done:
        console.print(f"{num_done} of {num_scans} scans are done already, kept")


def tell_stopped(num_done: int, found: Found, is_overwriting: bool) -> None:
    """How far a stopped call came and how to go on: one line on standard error, whatever --quiet says."""
    next_step = "the same command without --overwrite goes on" if is_overwriting else "the same command goes on"
    sys.stderr.write(f"retseg: stopped: {num_done} of {_num_scans(found)} scans are done and kept; {next_step}\n")


def _num_scans(found: Found) -> int:
    return sum(len(volume.numbers) for volume in found.volumes)


def tell_dry_run(output: Path, found: Found, gated: GatedPredictor, outputs: Outputs) -> None:
    """What would be done."""
    console = report_console()
    tell_start(found, gated)
    table = Table("volume", "format", "B-scans", "um a pixel (axial, lateral)", "um between B-scans", box=None)
    for volume in found.volumes[:MOST_LINES]:
        table.add_row(volume.name, volume.format, str(len(volume.numbers)), _scale(volume), _distance(volume))
    console.print(table)
    if len(found.volumes) > MOST_LINES:
        console.print(f"... and {len(found.volumes) - MOST_LINES} more")
    for path, reason in found.failures:
        console.print(f"cannot be read: {path!s}: {reason}", style="red")
    notices = dict.fromkeys(notice for volume in found.volumes for notice in volume.notices)
    for notice in [*outputs.notices, *list(notices)[:MOST_LINES]]:
        console.print(f"note: {notice}")
    console.print(f"would write {', '.join(sorted(outputs.kinds))} below {output!s}; nothing is written")


def tell_scan(row: Mapping[str, Any]) -> None:
    """A line for one scan."""
    verdict = str(row["verdict"])
    reasons = f"  {row['reasons']}" if row["reasons"] else ""
    name = f"{row['volume']}" if row["volume"].endswith(row["scan"]) else f"{row['volume']}/{row['scan']}"
    line = Text.assemble((f"{verdict:5}", STYLES[verdict]), f" {name}  {row['seconds']:.2f} s{reasons}")
    report_console().print(line)


def tell_end(account: Account) -> None:
    """Verdicts, thickness, what needs a look, and where everything is."""
    console = report_console()
    verdicts = [(f"{count} {level}", STYLES[level]) for level, count in account.verdicts.items()]
    skipped = f" ({account.num_skipped} of an earlier call)" if account.num_skipped else ""
    head = f"{len(account.rows)} scans{skipped} in {account.seconds:.0f} s: "
    console.print(Text(head) + Text(", ").join(Text(*verdict) for verdict in verdicts))
    if account.rows:
        console.print(_thickness(account))
        if fluid := _fluid(account):
            console.print(fluid)
    flagged = [row for row in account.rows if row["verdict"] != "pass"]
    for row in flagged[:MOST_LINES]:
        console.print(f"  {row['scan']!s}: {row['reasons']!s}")
    if len(flagged) > MOST_LINES:
        console.print(f"  ... and {len(flagged) - MOST_LINES} more, see review.csv")
    for what, times in account.notes.items():
        console.print(f"note: {what}" + (f" ({times} volumes)" if times > 1 else ""))
    for failure in account.failures[:MOST_LINES]:
        console.print(f"failed: {failure['scan']}: {failure['reason']}", style="red")
    console.print(f"written to {account.folder!s}: scans.csv, review.csv, failures.csv, run.json, files of each scan")


def _thickness(account: Account) -> Table:
    """Mean over scans of each slab's mean thickness, and of half its interval, apart for scans in um and in px."""
    columns = dict.fromkeys(name for row in account.rows for name in row if name.endswith((" (um)", " (px)")))
    table = Table("mean over scans", "thickness", "scans", box=None)
    for name in columns:
        slab, unit = name[:-5], name[-3:-1]
        values = [row[name] for row in account.rows if row.get(name) is not None]
        if slab.endswith("+-") or not values:
            continue
        half_widths = [row[f"{slab} +- ({unit})"] for row in account.rows if row.get(f"{slab} +- ({unit})") is not None]
        interval = f" +- {sum(half_widths) / len(half_widths):.1f}" if half_widths else ""
        table.add_row(slab, f"{sum(values) / len(values):.1f}{interval} {unit}", str(len(values)))
    return table


def _fluid(account: Account) -> str:
    """In how many scans fluid was found, and how much; "" where none was sought."""
    rows = [row for row in account.rows if row.get(FLUID_PX) is not None]
    if not rows:
        return ""
    with_fluid = sum(row[FLUID_PX] > 0 for row in rows)
    areas = [row[FLUID_MM2] for row in rows if row[FLUID_MM2] is not None]
    mean = f", mean area {sum(areas) / len(areas):.4f} mm2 over {len(areas)} scans" if areas else ""
    return f"fluid in {with_fluid} of {len(rows)} scans{mean}"


def _networks(gated: GatedPredictor) -> str:
    members = gated.predictor.members
    cards = list(dict.fromkeys((member.network.card.name, member.network.card.stamp) for member in members))
    words = "; ".join(f"{name} [{stamp}]" for name, stamp in cards)
    looks = f", {len(members)} looks in all" if len(members) > len(cards) else ""
    return f"network: {words}{looks}"


def _scale(volume: ScanVolume) -> str:
    spacing = volume.spacing
    if spacing.axial_um is None and spacing.lateral_um is None:
        return "unknown: pixels"
    sizes = ", ".join("?" if um is None else f"{um:.3g}" for um in (spacing.axial_um, spacing.lateral_um))
    return f"{sizes} ({spacing.source})"


def _distance(volume: ScanVolume) -> str:
    if volume.num_bscans == 1:
        return ""
    return "unknown: no map" if volume.distance is None else f"{volume.distance.um:.4g} ({volume.distance.source})"
