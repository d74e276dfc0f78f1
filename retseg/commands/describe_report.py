"""How `retseg data describe` tells what it found: tables on the screen, numbers and figures in files."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES
from retseg.data.description import Description, Group, SpacingCount
from retseg.data.scan_sums import mask_of
from retseg.data.source import ScanSource
from retseg.errors import InputError
from retseg.figures import describe as figures
from retseg.figures.saving import save_png_and_pdf

WIDTH = 100
"""Characters of a line where the output is no terminal."""


def make_folder(folder: Path) -> None:
    """Make a folder for what is written. InputError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made a folder ({error.strerror}); choose another with -o") from error


def save_report(description: Description, source: ScanSource, num_samples: int, folder: Path) -> list[Path]:
    """Write numbers and figures into a folder; their paths. InputError where they cannot be written."""
    try:
        return _save_numbers(description, folder) + _draw_figures(description, source, num_samples, folder)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror}); choose another with -o") from error


def _save_numbers(description: Description, folder: Path) -> list[Path]:
    """Write description.json, all there is, and per_subject.csv, one row a subject; their paths."""
    numbers, table = folder / "description.json", folder / "per_subject.csv"
    lines = json.dumps(asdict(description), indent=1, allow_nan=False)
    numbers.write_text(lines + "\n", encoding="utf-8")
    rows = [_csv_row(group) for group in description.subjects]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return [numbers, table]


def _draw_figures(description: Description, source: ScanSource, num_samples: int, folder: Path) -> list[Path]:
    """Draw samples, gray_levels, class_balance and, where any is known, thickness, each as PNG and PDF; their paths."""
    keys = [key for key in source.keys if key.grader == source.keys[0].grader]
    num_samples = min(num_samples, len(keys))
    picked = [source.read(keys[(2 * i + 1) * len(keys) // (2 * num_samples)]) for i in range(num_samples)]
    samples = [figures.Sample(scan.key.name, scan.image, mask_of(scan)) for scan in picked]
    drawn = {
        "samples": figures.sample_grid(samples, f"{description.name}, {description.label_origin} labels"),
        "gray_levels": figures.gray_histograms(description),
        "class_balance": figures.class_balance(description),
    }
    if any(row.num_columns for row in description.overall.thickness):
        drawn["thickness"] = figures.thickness(description)
    paths = []
    for name, figure in drawn.items():
        save_png_and_pdf(figure, folder / name, 150)
        paths += [folder / f"{name}.png", folder / f"{name}.pdf"]
    return paths


def print_tables(description: Description) -> None:
    """What the source holds, in five tables and its notices."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console = Console(markup=False, highlight=False, width=WIDTH)
    groups = (description.overall, *description.subjects)
    console.print(_overview(description), _classes(description))
    console.print(_subjects(groups))
    console.print(_shares(groups))
    if any(row.num_columns for row in description.overall.thickness):
        console.print(_thickness(groups))
    for notice in description.notices:
        console.print(f"note: {notice}")


def _overview(description: Description) -> Table:
    overall, gray = description.overall, description.overall.gray
    table = _table(f"{description.name}, labels {description.label_origin}", ("", ""), num_left=2)
    table.show_header = False
    subjects = f"{len(description.subjects)} subjects (volumes by eye: {_counts(description.eyes)})"
    table.add_row("B-scans", f"{overall.num_bscans} of {subjects}")
    graders = _counts({f"grader {grader}": num for grader, num in description.graders.items()})
    table.add_row("scans", f"{overall.num_scans}, a B-scan as one grader annotated it ({graders})")
    sizes = f"{_counts(description.image_shapes)} (rows x columns)"
    table.add_row("images", f"{sizes}; {_counts(description.image_dtypes)}")
    table.add_row("pixel size", "; ".join(map(_spacing, description.spacings)))
    table.add_row("labels", f"{', '.join(description.labels)} (-1: not annotated); {_counts(description.labels_from)}")
    table.add_row("gray levels", f"{gray.mean:.1f} ± {gray.sd:.1f}, {gray.lowest:g} to {gray.highest:g}")
    table.add_row("", f"exactly 0: {_percent(gray.share_of_0)} % of pixels, 255: {_percent(gray.share_of_255)} %")
    table.add_row("fluid", f"{_fluid(overall)} scans in which somebody looked for it")
    return table


def _classes(description: Description) -> Table:
    columns = ("class", "pixels", "% of annotated", "% of layers", "gray mean", "sd")
    table = _table("Pixels by class, pooled over scans (not annotated: % of all pixels)", columns)
    for pixels in (*description.overall.classes, description.overall.not_annotated):
        table.add_row(
            pixels.name, str(pixels.num_pixels), _percent(pixels.share), _percent(pixels.share_of_layers),
            _number(pixels.gray_mean), _number(pixels.gray_sd),
        )  # fmt: skip
    return table


def _subjects(groups: Iterable[Group]) -> Table:
    columns = ("subject", "B-scans", "scans", "gray mean", "sd", "% at 0", "% at 255", "% not annot.", "with fluid")
    table = _table("By subject", columns)
    for group in groups:
        gray = group.gray
        table.add_row(
            group.name, str(group.num_bscans), str(group.num_scans), _number(gray.mean), _number(gray.sd),
            _percent(gray.share_of_0), _percent(gray.share_of_255), _percent(group.not_annotated.share),
            _fluid(group),
            end_section=group.name == "all",
        )  # fmt: skip
    return table


def _shares(groups: Iterable[Group]) -> Table:
    table = _table("Class balance by subject: % of annotated pixels", ("subject", *CLASS_NAMES))
    for group in groups:
        shares = (_percent(pixels.share) for pixels in group.classes)
        table.add_row(group.name, *shares, end_section=group.name == "all")
    return table


def _thickness(groups: tuple[Group, ...]) -> Table:
    unit = "px" if all(row.mean_um is None for row in groups[0].thickness) else "um"
    table = _table(f"Layer thickness ({unit}, along the A-scan): mean by subject", ("subject", *LAYER_NAMES))
    for group in groups:
        means = (_number(getattr(row, f"mean_{unit}")) for row in group.thickness)
        table.add_row(group.name, *means, end_section=group.name == "all")
        if group is groups[0]:
            rows = ((getattr(row, f"p05_{unit}"), getattr(row, f"p95_{unit}")) for row in group.thickness)
            table.add_row("5 to 95 %", *(f"{_number(low)}-{_number(high)}" for low, high in rows), end_section=True)
    return table


def _table(title: str, columns: Iterable[str], num_left: int = 1) -> Table:
    """An empty table whose first columns hold words, the others numbers."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < num_left else "right")
    return table


def _csv_row(group: Group) -> dict[str, Any]:
    """One line of per_subject.csv; empty where a number is unknown. Shares lie in 0..1."""
    row = {
        "subject": group.name,
        "num_bscans": group.num_bscans,
        "num_scans": group.num_scans,
        **{f"gray_{name}": value for name, value in asdict(group.gray).items()},
        "share_not_annotated": group.not_annotated.share,
        "num_scans_looked_at_for_fluid": group.num_scans_looked_at_for_fluid,
        "num_scans_with_fluid": group.num_scans_with_fluid,
    }
    row |= {f"share_{pixels.name}": pixels.share for pixels in group.classes}
    for unit in ("px", "um"):
        row |= {f"thickness_{unit}_{layer.layer}": getattr(layer, f"mean_{unit}") for layer in group.thickness}
    return row


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {num}" for name, num in counts.items())


def _spacing(count: SpacingCount) -> str:
    sizes = (f"{'unknown' if um is None else f'{um:.4g} um'}" for um in (count.axial_um, count.lateral_um))
    return f"{' axial, '.join(sizes)} lateral, {count.source}: {count.num_scans}"


def _fluid(group: Group) -> str:
    return f"{group.num_scans_with_fluid} of {group.num_scans_looked_at_for_fluid}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
