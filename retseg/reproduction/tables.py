"""The paper's Tables 1 to 3 with the run's values beside its own."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from retseg.anatomy import CLASS_NAMES
from retseg.reproduction.claim import number
from retseg.reproduction.run_facts import RunFacts

SIDES = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class ComparisonTable:
    """A table as words, cell by cell: its file name, title, column heads, rows, and remarks below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def csv(self) -> str:
        """The table as a CSV file."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return buffer.getvalue()


def comparison_tables(facts: RunFacts) -> tuple[ComparisonTable, ...]:
    """Tables 1, 2 and 3."""
    return table_1(facts), table_2(facts), table_3(facts)


def table_1(facts: RunFacts) -> ComparisonTable:
    """Overall scores of both sets."""
    paper = facts.paper
    printed = {
        "accuracy": ("accuracy", paper.accuracy),
        "Dice, micro soft": ("dice_micro_soft", paper.dice),
        "IoU, micro soft": ("iou_micro_soft", paper.iou),
        "loss": ("loss", paper.loss),
    }
    rows = [
        (
            label,
            *(f"{value:.4f}" for value in pair),
            number(facts.score("train", name)),
            number(facts.score("val", name)),
        )
        for label, (name, pair) in printed.items()
    ]
    hard = number(facts.score("train", "dice_macro_layers")), number(facts.score("val", "dice_macro_layers"))
    rows.append(("Dice, mean of 7 layers (hard)", "not given", "not given", *hard))
    notes = (
        f"This run: {facts.data_name}, labels {facts.label_origin}; {facts.stamp}.",
        "Dice and IoU are soft, over all pixels and classes: Dice is the mean probability of the true class.",
    )
    columns = ("score", "paper train", "paper val", "run train", "run val")
    return ComparisonTable("table1", "Table 1. Scores on training and validation set", columns, tuple(rows), notes)


def table_2(facts: RunFacts) -> ComparisonTable:
    """IoU and recall by class."""
    paper, iou, recall = facts.paper, facts.class_iou(), facts.class_recall()
    rows = [
        (
            f"{c} {name}",
            f"{paper.class_iou[c]:.2f}",
            number(iou[c], 2),
            f"{paper.class_accuracy_percent[c]:.1f}",
            _percent(recall[c]),
        )
        for c, name in enumerate(CLASS_NAMES)
    ]
    printed = paper.class_iou, [percent / 100 for percent in paper.class_accuracy_percent]
    for label, first in (("mean of 8 classes", 0), ("mean of 7 layers", 1)):
        means = [_mean(values[first:]) for values in (printed[0], iou, printed[1], recall)]
        rows.append((label, number(means[0], 3), number(means[1], 3), _percent(means[2]), _percent(means[3])))
    if facts.evaluation is None:
        how = f"IoU of the run: pooled over pixels, as it was not evaluated yet (retseg evaluate {facts.folder})."
    else:
        how = f"IoU: mean over scans, a class that is absent from a scan counting 0, as in the paper{_absences(facts)}."
    notes = (f"{how} Accuracy: recall, pooled over pixels. {_sentence(facts.stamp)}.",)
    columns = ("class", "paper IoU", "run IoU", "paper accuracy %", "run accuracy %")
    return ComparisonTable(
        "table2", f"Table 2. Scores by class on the {SIDES[facts.scored_side]} set", columns, tuple(rows), notes
    )


def table_3(facts: RunFacts) -> ComparisonTable:
    """Alphas, peaks and means of the Grad-CAM maps at two layers."""
    paper, rows = facts.paper, []
    printed = {
        "conv2d_19": (paper.alpha_19, paper.max_19, paper.mean_19),
        "conv2d_20": (paper.alpha_20, paper.max_20, paper.mean_20),
    }
    for layer, values in printed.items():
        ours = _cam_rows(facts, layer)
        for place, quantity in enumerate(("alpha, mean over channels", "maximum of the map", "mean of the map")):
            rows.append((layer, quantity, "paper", *(_short(value, place) for value in values[place])))
            own = ours[place] if ours else [None] * len(values[place])
            rows.append((layer, quantity, "run", *("-" if v is None else _short(v, place) for v in own)))
        if ours:
            rows.append((layer, "maximum before division", "run", *("-" if v is None else f"{v:.3f}" for v in ours[3])))
    scan = "No maps saved" if facts.cam is None else f"Run: scan {facts.cam.scan}, epoch {facts.cam.epoch}"
    notes = (
        f"{scan}. At conv2d_20, the softmax, 0.125 is 1/8 and the map is the prediction, by definition.",
        "Alphas of all classes sum to 0 below the softmax; the printed ones of conv2d_19 do not (see the arithmetic).",
    )
    columns = ("layer", "quantity", "of", *map(str, range(len(CLASS_NAMES))))
    return ComparisonTable("table3", "Table 3. Grad-CAM of classes 0 to 7 at two layers", columns, tuple(rows), notes)


def _cam_rows(facts: RunFacts, layer: str) -> list[list[float | None]] | None:
    """Mean alpha, maximum, mean, and maximum before normalisation by class; None if that layer was not saved."""
    if facts.cam is None or layer not in facts.cam.layers:
        return None
    cam = facts.cam.layers[layer]
    rows = (cam.weights.mean(axis=1), cam.normalised.max(axis=(1, 2)), cam.normalised.mean(axis=(1, 2)), cam.raw_max)
    return [[float(value) for value in row] for row in rows]


def _absences(facts: RunFacts) -> str:
    """How often that happened, by class; empty if never."""
    counts = {name: facts.evaluated("paper_absent_scans", name) for name in CLASS_NAMES}
    found = [f"{name} in {count:.0f} scans" for name, count in counts.items() if count]
    return f" (absent: {', '.join(found)})" if found else ""


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _short(value: float, place: int) -> str:
    return f"{value:.2e}" if place == 0 and abs(value) < 0.01 else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "absent" if value is None else f"{100 * value:.1f}"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
