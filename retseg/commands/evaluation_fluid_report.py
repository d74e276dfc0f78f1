"""The fluid of an evaluation as tables on the screen, with what others printed for the same split beside it."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from retseg.commands.score_cells import ceiling_cell, counted, number, score_table, with_interval
from retseg.evaluation.fluid import FluidEvaluation
from retseg.evaluation.fluid_output import DEFINITIONS, subject_rows
from retseg.evaluation.fluid_protocols import Published
from retseg.evaluation.fluid_scores import ALL_SIZES, EMPTY_IS_1, FLUID
from retseg.metrics.fluid_lesions import SIZES_UM2

OVERLAP_ROWS = (
    ("dice", "pooled", "Dice, pooled over all pixels"),
    ("dice", "mean_over_scans", "Dice, mean over scans"),
    ("dice", EMPTY_IS_1, "Dice, mean over scans, an empty one as 1"),
    ("dice", "mean_over_subjects", "Dice, mean over subjects"),
    ("iou", "pooled", "IoU, pooled"),
    ("recall", "pooled", "recall, pooled"),
    ("precision", "pooled", "precision, pooled"),
)
SAID = ("found", "mean_over_scans", "lesion", "lesion_recall_covered", "lesion_precision_covered", "sizes")
"""Definitions that are printed below the tables; all are in metrics.json."""


def print_fluid(console: Console, fluid: FluidEvaluation) -> None:
    """All tables of fluid, then what to mind."""
    if fluid.scans:
        num_subjects = len({scan.subject for scan in fluid.scans})
        scans, subjects = counted(len(fluid.scans), "scan"), counted(num_subjects, "subject")
        console.print(f"Fluid, labels {fluid.origin.label_origin}: {scans} of {subjects}", style="bold")
        for table in _tables(fluid):
            console.print(table)
        for name in SAID:
            console.print(f"  {name}: {DEFINITIONS[name]}", style="dim")
        _print_published(console, fluid.published)
    for notice in fluid.notices:
        console.print(f"note: {notice}")
    console.print()


def _tables(fluid: FluidEvaluation) -> Iterator[Table]:
    yield _overlap(fluid)
    yield _lesions(fluid)
    if fluid.agreement is not None:
        yield _volumes(fluid)


def _overlap(fluid: FluidEvaluation) -> Table:
    counts = [fluid.find(f"scans_{kind}", FLUID, "count") for kind in ("empty", "all_missed", "false_alarm")]
    empty, missed, false_alarm = (0 if row is None else round(row.value) for row in counts)
    table = score_table(
        f"Fluid overlap [95 % interval by subject]; scans without fluid in both: {empty};\n"
        f"with fluid drawn and none found: {missed}; with fluid found and none drawn: {false_alarm}"
    )
    table.add_column("score", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    if fluid.has_ceiling:
        table.add_column("second grader", justify="right", no_wrap=True)
    for score, average, title in OVERLAP_ROWS:
        row = fluid.find(score, FLUID, average)
        assert row is not None
        table.add_row(title, with_interval(row, 3), *([ceiling_cell(row, 3)] if fluid.has_ceiling else []))
    return table


def _lesions(fluid: FluidEvaluation) -> Table:
    table = score_table("Fluid lesion by lesion, by area of the lesion [95 % interval by subject]")
    for column in (
        "lesions",
        "drawn",
        "recall: half covered",
        "IoU > 0.5",
        "found",
        "precision: half covered",
        "IoU > 0.5",
    ):
        table.add_column(column, justify="left" if column == "lesions" else "right")
    for size in (ALL_SIZES, *SIZES_UM2):
        cells = []
        for side, score in (("drawn", "recall"), ("found", "precision")):
            count = fluid.find(f"lesions_{side}", size, "count")
            covered, paired = (fluid.find(f"lesion_{score}_{kind}", size, "pooled") for kind in ("covered", "paired"))
            assert count is not None
            assert covered is not None
            assert paired is not None
            cells += [f"{count.value:.0f}", with_interval(covered, 2), number(paired.value, 2)]
        table.add_row("all" if size == ALL_SIZES else size, *cells, end_section=size == ALL_SIZES)
    return table


def _volumes(fluid: FluidEvaluation) -> Table:
    agreed = fluid.agreement
    assert agreed is not None
    table = score_table(
        f"Fluid volume in the scored B-scans, mm3: mean absolute error {agreed.absolute:.4f},\n"
        f"bias {agreed.bias:+.4f}, limits of agreement {agreed.low:+.4f} to {agreed.high:+.4f} (over these rows)"
    )
    for column in ("subject", "scans", "with fluid", "Dice pooled", "drawn", "found", "error"):
        table.add_column(column, justify="left" if column == "subject" else "right")
    for row in subject_rows(fluid):
        volumes = [number(row[f"{name}_mm3"], 4) for name in ("drawn", "found", "error")]
        numbers = (str(row["num_scans"]), str(row["num_scans_with_fluid"]), number(row["dice_pooled"], 3))
        table.add_row(f"{row['subject']} {row['grader']}".rstrip(), *numbers, *volumes)
    return table


def _print_published(console: Console, published: tuple[Published, ...]) -> None:
    if not published:
        return
    table = score_table("Printed by others for this split; scored as they did, not by this program")
    for column in ("method", "Dice of fluid", "compare with ours"):
        table.add_column(column, justify="right" if column.startswith("Dice") else "left")
    for entry in published:
        table.add_row(entry.method, f"{entry.dice:.2f}", entry.nearest)
    console.print(table)
    for words in dict.fromkeys(f"{entry.scored}. Source: {entry.source}" for entry in published):
        console.print(f"  {words}.", style="dim")
