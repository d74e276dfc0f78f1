"""An evaluation as tables on the screen: each score with its interval, its ceiling and its definition."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from retseg.anatomy import CLASS_NAMES, LAYER_NAMES, SURFACE_NAMES
from retseg.commands.evaluation_fluid_report import print_fluid
from retseg.commands.score_cells import ceiling_cell, counted, number, score_table, with_interval
from retseg.evaluation.definitions import DEFINITIONS
from retseg.evaluation.evaluation import Evaluation, mean_layer_dice
from retseg.evaluation.quantities import CLASSES, LAYERS, SURFACES
from retseg.evaluation.scores import Score
from retseg.evaluation.topology_scores import PER_LAYER, PER_SCAN

WIDTH = 118
"""Characters of a line where the output is no terminal, and the least on one."""

TITLES = {"dice": "Dice", "iou": "IoU", "recall": "recall", "precision": "precision"}
PAPER_TITLES = {
    "paper_accuracy": "accuracy (eq. 4): share of pixels given their class, with background",
    "paper_dice_micro_soft": "Dice, micro soft: mean probability of the true class",
    "paper_iou_micro_soft": "IoU, micro soft: D / (2 - D) of that Dice",
}
AVERAGES = ("pooled_micro", "pooled_macro", "mean_over_scans", "mean_over_subjects")
NEAR_PX = 2.0


def report_console() -> Console:
    """Where tables are printed; wide enough for them."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal or console.width < WIDTH:
        console = Console(markup=False, highlight=False, width=WIDTH)
    return console


def print_evaluation(console: Console, evaluation: Evaluation) -> None:
    """All tables, and what to mind."""
    _print_heading(console, evaluation)
    has_ceiling = any(record.ceiling is not None for record in evaluation.records)
    for pair in (("dice", "iou"), ("recall", "precision")):
        console.print(_overlap(evaluation, pair, has_ceiling))
    for name in ("dice", "iou", "recall", "precision", *AVERAGES):
        console.print(f"  {name}: {DEFINITIONS[name]}", style="dim")
    console.print()
    console.print(_boundaries(evaluation, has_ceiling))
    console.print(_thickness(evaluation, has_ceiling))
    console.print(_topology(evaluation, has_ceiling))
    for table in _network_tables(evaluation):
        console.print(table)
    if evaluation.fluid is not None:
        print_fluid(console, evaluation.fluid)
    _print_misclassification(console, evaluation)
    _print_notes(console, evaluation, has_ceiling)


def _print_heading(console: Console, evaluation: Evaluation) -> None:
    origin, num_subjects = evaluation.origin, len(evaluation.subjects)
    console.print()
    console.print(origin.title, style="bold")
    side = origin.split.get("side")
    rule = f", {side} scans of split {origin.split['rule']}" if side and side != "all" else ""
    scans, subjects = counted(len(evaluation.records), "scan"), counted(num_subjects, "subject")
    console.print(f"{origin.data_name}, labels {origin.label_origin}: {scans} of {subjects}{rule}")
    console.print(origin.stamp, style="bold")
    if protocol := origin.split.get("protocol"):
        columns = protocol["columns"]
        where = "all annotated columns" if columns is None else f"columns {columns[0]} to {columns[1] - 1}"
        console.print(f"protocol: {protocol['source']}: {where}; surfaces: {protocol['surfaces']}")
    console.print()


def _interval_words(evaluation: Evaluation) -> str:
    return f"[95 % interval over {counted(len(evaluation.subjects), 'subject')}]"


def _overlap(evaluation: Evaluation, pair: Sequence[str], has_ceiling: bool) -> Table:
    """Two scores by class and in every average, each with its interval and its ceiling."""
    names = " and ".join(TITLES[score] for score in pair)
    words = _interval_words(evaluation)
    table = score_table(f"{names}, by class pooled over the pixels of all scans, then in averages {words}")
    table.add_column("class, or average", no_wrap=True)
    for score in pair:
        table.add_column(TITLES[score], justify="right", no_wrap=True)
        if has_ceiling:
            table.add_column(evaluation.origin.ceiling, justify="right", no_wrap=True)
    for of, average, title in _overlap_rows():
        if not title:
            table.add_section()
            continue
        rows = [evaluation.find(score, of, average) for score in pair]
        cells = ((with_interval(row, 3), ceiling_cell(row, 3))[: 1 + has_ceiling] for row in rows if row is not None)
        table.add_row(title, *(cell for pair_of_cells in cells for cell in pair_of_cells))
    return table


def _overlap_rows() -> Iterable[tuple[str, str, str]]:
    """What each row is of, how it averages, and its title; an empty title is a line between groups."""
    yield from ((name, "pooled", name) for name in (*LAYER_NAMES, CLASS_NAMES[0]))
    for of, words in ((LAYERS, "7 layers"), (CLASSES, "8 classes")):
        yield of, "", ""
        yield from ((of, average, f"{words}, {average}") for average in AVERAGES)


def _boundaries(evaluation: Evaluation, has_ceiling: bool) -> Table:
    unit = evaluation.unit
    table = score_table(
        f"Surfaces: distance along the A-scan in {unit}, on the scan's own grid {_interval_words(evaluation)}"
    )
    columns = ("surface", "mean absolute", "RMS", "95th percentile", "signed (+ too deep)", "not found")
    _distance_columns(table, columns, evaluation, has_ceiling)
    kinds = ("surface_mean_absolute", "surface_rms", "surface_p95", "surface_signed")
    for name in (*SURFACE_NAMES, SURFACES):
        average = "pooled_macro" if name == SURFACES else "pooled"
        cells = _distance_cells([evaluation.find(kind, name, average) for kind in kinds], has_ceiling)
        missing = evaluation.find("surface_missing", name, average)
        assert missing is not None
        share = "-" if missing.value != missing.value else f"{100 * missing.value:.2g} %"
        title = "mean of the 8" if name == SURFACES else name
        table.add_row(title, *cells, share, end_section=name == SURFACE_NAMES[-1])
    return table


def _thickness(evaluation: Evaluation, has_ceiling: bool) -> Table:
    table = score_table(f"Layer thickness: error along the A-scan in {evaluation.unit} {_interval_words(evaluation)}")
    _distance_columns(table, ("layer", "mean absolute", "signed (+ too thick)"), evaluation, has_ceiling)
    for name in (*LAYER_NAMES, LAYERS):
        average = "pooled_macro" if name == LAYERS else "pooled"
        rows = [evaluation.find(f"thickness_{kind}", name, average) for kind in ("mean_absolute", "signed")]
        title = "mean of the 7" if name == LAYERS else name
        table.add_row(title, *_distance_cells(rows, has_ceiling), end_section=name == LAYER_NAMES[-1])
    return table


def _distance_columns(table: Table, columns: Sequence[str], evaluation: Evaluation, has_ceiling: bool) -> None:
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=True)
        if has_ceiling and place == 1:
            table.add_column(evaluation.origin.ceiling, justify="right", no_wrap=True)


def _distance_cells(rows: Sequence[Score | None], has_ceiling: bool) -> list[str]:
    """The mean absolute error with interval and ceiling, then the others."""
    first, *others = [row for row in rows if row is not None]
    ceiling = [ceiling_cell(first, 2)] if has_ceiling else []
    return [with_interval(first, 2), *ceiling, *(number(row.value, 2) for row in others)]


def _topology(evaluation: Evaluation, has_ceiling: bool) -> Table:
    """Counts a scan of the prediction, the truth and the second grader."""
    table = score_table(
        "Topology: counts a scan, mean over scans: prediction / truth" + (" / second" if has_ceiling else "")
    )
    for column in ("layer", "islands", "holes", "columns without the layer"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for name in LAYER_NAMES:
        table.add_row(name, *(_topology_cell(evaluation, score, name, has_ceiling) for score in PER_LAYER))
    violations, columns = (_topology_cell(evaluation, score, "scan", has_ceiling) for score in PER_SCAN)
    table.add_section()
    table.add_row("pixel pairs in the wrong order of depth", violations)
    table.add_row("columns with such a pair", columns)
    return table


def _topology_cell(evaluation: Evaluation, score: str, of: str, has_ceiling: bool) -> str:
    found, true = (evaluation.find(name, of, "mean_over_scans") for name in (score, f"true_{score}"))
    assert found is not None
    values = [found.value, float("nan") if true is None else true.value, *([found.ceiling] if has_ceiling else [])]
    return " / ".join(number(value, 1) for value in values)


def _network_tables(evaluation: Evaluation) -> Iterable[Table]:
    """Calibration and the paper's own definitions, where probabilities are at hand."""
    if evaluation.find("ece", "all", "pooled") is None:
        return
    scaling = evaluation.scaling
    words = "" if scaling.temperature is None else f"temperature of all validation scans {scaling.temperature:.2f}; "
    table = score_table(f"Calibration {_interval_words(evaluation)}\n{words}scaled by {scaling.fitted_on}")
    for column in ("expected calibration error", "as predicted", "after temperature scaling"):
        table.add_column(column, justify="left" if column.startswith("exp") else "right")
    for name, title in (("ece", "all annotated pixels"), ("ece_layers", "pixels predicted to be a layer")):
        pair = (evaluation.find(score, "all", "pooled") for score in (name, f"{name}_scaled"))
        table.add_row(title, *("-" if row is None else with_interval(row, 4) for row in pair))
    yield table
    paper = score_table("The paper's own definitions, on the network's grid")
    paper.add_column("score")
    paper.add_column("value", justify="right")
    for score in PAPER_TITLES:
        row = evaluation.find(score, CLASSES, "pooled_micro")
        assert row is not None
        paper.add_row(PAPER_TITLES[score], with_interval(row, 4))
    yield paper
    classes = score_table(
        "Its Table 2: IoU, mean over scans, an absent class counting 0;\naccuracy: recall, pooled over pixels"
    )
    for column in ("class", "IoU", "accuracy", "scans without the class"):
        classes.add_column(column, justify="left" if column == "class" else "right")
    for name in CLASS_NAMES:
        wanted = (
            ("paper_iou_per_scan", "mean_over_scans"),
            ("paper_recall", "pooled"),
            ("paper_absent_scans", "count"),
        )
        iou, recall, absent = (evaluation.find(score, name, average) for score, average in wanted)
        assert iou is not None
        assert recall is not None
        assert absent is not None
        classes.add_row(name, number(iou.value, 3), number(recall.value, 3), f"{absent.value:.0f}")
    yield classes


def _print_misclassification(console: Console, evaluation: Evaluation) -> None:
    found = evaluation.misclassified
    wrong, went = int(found.distance[0].sum()), found.neighbours()["all"]
    if not wrong:
        return
    console.print(
        f"Wrong pixels: {100 * found.share_within(NEAR_PX):.0f} % lie less than {NEAR_PX:g} px from a true surface; "
        f"{100 * went['above']:.0f} % were given to the class next above, {100 * went['below']:.0f} % next below, "
        f"{100 * went['elsewhere']:.0f} % elsewhere."
    )
    extremes = found.over_and_under()
    parts = [f"{name} {100 * extremes[name]['over']:.0f}/{100 * extremes[name]['under']:.0f}" for name in LAYER_NAMES]
    console.print(f"Pixels too many/too few, % of the layer's: {', '.join(parts)}.")
    by_name = {record.name: record for record in evaluation.records}
    worst = [f"{case.name} ({mean_layer_dice(by_name[case.name]):.3f})" for case in evaluation.worst]
    console.print(f"Worst scans, mean Dice of their layers: {', '.join(worst)}.")
    console.print()


def _print_notes(console: Console, evaluation: Evaluation, has_ceiling: bool) -> None:
    if has_ceiling:
        title, note = evaluation.origin.ceiling, evaluation.origin.ceiling_note
        console.print(f"ceiling ({title}): {note}.")
        console.print(f"  below, at, above: {DEFINITIONS['standing']}.", style="dim")
    for notice in evaluation.notices:
        console.print(f"note: {notice}")
