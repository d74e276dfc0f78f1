"""What `retseg predict` prints: what it is about to do, each scan if asked, and what came of it."""

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    head = f"{account.num_scans} scans{skipped} in {account.seconds:.0f} s: "
    console.print(Text(head) + Text(", ").join(Text(*verdict) for verdict in verdicts))
    found = _Sums.of_rows(account.rows())
    if account.num_scans:
        console.print(_thickness(found))
        if fluid := _fluid(found):
            console.print(fluid)
    for row in found.flagged:
        console.print(f"  {row['scan']!s}: {row['reasons']!s}")
    if (num_more := account.num_scans - account.verdicts["pass"] - len(found.flagged)) > 0:
        console.print(f"  ... and {num_more} more, see review.csv")
    for what, times in account.notes.items():
        console.print(f"note: {what}" + (f" ({times} volumes)" if times > 1 else ""))
    for failure in account.failures[:MOST_LINES]:
        console.print(f"failed: {failure['scan']}: {failure['reason']}", style="red")
    console.print(f"written to {account.folder!s}: scans.csv, review.csv, failures.csv, run.json, files of each scan")


@dataclass
class _Sums:
    """Of the rows of scans.csv: the first that did not pass; of thickness and fluid the sum and how many there are."""

    flagged: list[Mapping[str, Any]] = field(default_factory=list)
    sums: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    num_with_fluid: int = 0

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "_Sums":
        found = cls()
        for row in rows:
            if row["verdict"] != "pass" and len(found.flagged) < MOST_LINES:
                found.flagged.append(row)
            found.num_with_fluid += (row.get(FLUID_PX) or 0) > 0
            for name, value in row.items():
                if value is not None and (name.endswith((" (um)", " (px)")) or name in (FLUID_PX, FLUID_MM2)):
                    found.sums[name] = found.sums.get(name, 0.0) + value
                    found.counts[name] += 1
        return found

    def mean(self, name: str) -> float | None:
        """Over the rows that have it."""
        return self.sums[name] / self.counts[name] if self.counts[name] else None


def _thickness(found: _Sums) -> Table:
    """Mean over scans of each slab's mean thickness, and of half its interval, apart for scans in um and in px."""
    table = Table("mean over scans", "thickness", "scans", box=None)
    for name in found.sums:
        slab, unit = name[:-5], name[-3:-1]
        if not name.endswith((" (um)", " (px)")) or slab.endswith("+-"):
            continue
        half_width = found.mean(f"{slab} +- ({unit})")
        interval = "" if half_width is None else f" +- {half_width:.1f}"
        table.add_row(slab, f"{found.mean(name):.1f}{interval} {unit}", str(found.counts[name]))
    return table


def _fluid(found: _Sums) -> str:
    """In how many scans fluid was found, and how much; "" where none was sought."""
    if not found.counts[FLUID_PX]:
        return ""
    area = found.mean(FLUID_MM2)
    mean = "" if area is None else f", mean area {area:.4f} mm2 over {found.counts[FLUID_MM2]} scans"
    return f"fluid in {found.num_with_fluid} of {found.counts[FLUID_PX]} scans{mean}"


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
