"""How a run's scores are kept, drawn and told: metrics.json, figures, and the table at the end."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning import Trainer
from rich.console import Console
from rich.table import Table

from retseg.commands.training_scan import TrainingScan, training_scan
from retseg.data.audit import Audit
from retseg.data.splits import Split
from retseg.evaluation.json_files import write_object
from retseg.figures.curves import history
from retseg.figures.scans import confusion
from retseg.training.datamodule import OctDataModule
from retseg.training.environment import weights_sha256
from retseg.training.evaluation import SetScores
from retseg.training.history import read_history
from retseg.training.log_figure import log_figure, log_table
from retseg.training.module import SegmentationModule

DEFINITIONS = {
    "pooling": "pixels of all scans of the set; pixels that nobody annotated are in no score",
    "absent class": "nan (in JSON null), left out of means",
    "dice/<class>": "2 TP / (2 TP + FP + FN), hard labels",
    "iou/<class>": "TP / (TP + FP + FN), hard labels",
    "accuracy/<class>": "recall, TP / (TP + FN): the paper's class-wise accuracy",
    "accuracy": "share of pixels given their class, background included (paper eq. 4)",
    "dice_micro_soft": "the paper's Dice: soft, over all pixels and classes = mean probability of the true class",
    "iou_micro_soft": "the paper's Jaccard: D / (2 - D) of dice_micro_soft",
    "dice_macro_8, iou_macro_8": "means over the 8 classes",
    "dice_macro_layers, iou_macro_layers": "means over the 7 layers, background left out",
    "loss": "mean over scans of their batch's loss",
}

PAPER_ROWS = (
    ("accuracy", "accuracy"),
    ("Dice, micro soft", "dice_micro_soft"),
    ("IoU, micro soft", "iou_micro_soft"),
    ("loss", "loss"),
)


@dataclass(frozen=True)
class RunMetrics:
    """Scores of a run's best checkpoint, with all that has to stand beside them."""

    class_names: tuple[str, ...]
    train: SetScores
    val: SetScores
    split: Split
    audit: Audit
    data: str
    label_origin: str
    scan: TrainingScan
    checkpoint: Path
    epoch: int
    chosen_by: str
    weights_sha256: str

    @classmethod
    def of(
        cls,
        module: SegmentationModule,
        data: OctDataModule,
        audit: Audit,
        train: SetScores,
        val: SetScores,
        checkpoint: Path,
        epoch: int,
        chosen_by: str,
    ) -> "RunMetrics":
        """Metrics of a module that holds the best checkpoint's weights."""
        source = data.source
        scan = training_scan(source, data.split.train[0], data.train_dataset.crop)
        origin = (module.class_names, train, val, data.split, audit, source.name, source.label_origin, scan)
        return cls(*origin, checkpoint, epoch, chosen_by, weights_sha256(module.net))

    @property
    def stamp(self) -> str:
        """What no reader of a score may overlook."""
        labels = "" if self.label_origin in ("manual", "exact") else f"; labels are {self.label_origin}, not manual"
        return self.audit.stamp + labels

    @property
    def best(self) -> dict[str, str | int | float]:
        """The best checkpoint in one row, for dashboards: validation scores, absent classes left out, and the rest."""
        row: dict[str, str | int | float] = {"stamp": self.stamp, "best/epoch": self.epoch}
        row |= {f"best/{name}": value for name, value in self.val.scores.items() if value == value}
        return row | {"best/chosen_by": self.chosen_by, "best/weights_sha256": self.weights_sha256}


def run_tags(audit: Audit, label_origin: str) -> tuple[str, str]:
    """What a list of runs must show of each: whether its split leaks, and who drew its labels."""
    split = {"leaky": "leaky", "apart": "subjects apart", "unknown": "subjects unknown"}[audit.verdict]
    return split, f"labels {label_origin}"


def save_metrics(metrics: RunMetrics, run_dir: Path) -> None:
    """Write metrics.json: scores, confusion matrices, split, checkpoint and the definition of every score."""
    content = {
        "stamp": metrics.stamp,
        "data": {"name": metrics.data, "label_origin": metrics.label_origin, "scan": metrics.scan.to_json()},
        "split": {"rule": metrics.split.rule, "stamp": metrics.audit.stamp, "sha256": metrics.split.sha256},
        "checkpoint": {
            "file": f"checkpoints/{metrics.checkpoint.name}",
            "epoch": metrics.epoch,
            "chosen_by": metrics.chosen_by,
            "weights_sha256": metrics.weights_sha256,
        },
        "val": _plain(metrics.val),
        "train": _plain(metrics.train),
        "definitions": DEFINITIONS,
    }
    write_object(run_dir / "metrics.json", content)


def _plain(scored: SetScores) -> dict[str, Any]:
    scores = {name: None if value != value else value for name, value in scored.scores.items()}
    return asdict(scored) | {"scores": scores, "confusion": scored.confusion.tolist()}


def draw_figures(trainer: Trainer, metrics: RunMetrics, run_dir: Path) -> None:
    """Curves over epochs and the confusion matrix, to figures/ and the loggers; the scores as tables."""
    log_figure(trainer, "curves", history(read_history(run_dir / "metrics.csv"), metrics.stamp))
    caption = f"validation, epoch {metrics.epoch}: % of the true class's pixels\n{metrics.stamp}"
    log_figure(trainer, "confusion", confusion(metrics.val.confusion.numpy(), metrics.class_names, caption))
    counts = [[name, *row] for name, row in zip(metrics.class_names, metrics.val.confusion.tolist(), strict=True)]
    log_table(trainer, "confusion_px", ("truth", *metrics.class_names), counts)
    log_table(trainer, "scores", ("class", "dice", "iou", "accuracy"), _class_rows(metrics.val, metrics.class_names))
    paper_rows: list[list[Any]] = [
        [label, metrics.train.scores[name], metrics.val.scores[name]] for label, name in PAPER_ROWS
    ]
    log_table(trainer, "table1", ("metric", "train", "val"), paper_rows)


def _class_rows(scored: SetScores, class_names: tuple[str, ...]) -> list[list[Any]]:
    return [[name, *(scored.scores[f"{kind}/{name}"] for kind in ("dice", "iou", "accuracy"))] for name in class_names]


def print_summary(console: Console, metrics: RunMetrics, run_dir: Path, missing: Sequence[str] = ()) -> None:
    """Dice and IoU per layer, the paper's table 1, what is missing, the run folder and the figures to open."""
    console.print()
    scans = f"{metrics.val.num_scans} scans of {metrics.data} (labels {metrics.label_origin})"
    layers = Table(title=f"Validation, {scans}, best epoch {metrics.epoch}\n{metrics.stamp}", title_justify="left")
    for column in ("class", "Dice", "IoU", "accuracy (recall)"):
        layers.add_column(column, justify="left" if column == "class" else "right")
    for name, *values in _class_rows(metrics.val, metrics.class_names):
        layers.add_row(name, *map(_cell, values))
    layers.add_section()
    scores = metrics.val.scores
    for label, suffix in (("mean of layers", "layers"), ("mean of classes", str(len(metrics.class_names)))):
        layers.add_row(label, _cell(scores[f"dice_macro_{suffix}"]), _cell(scores[f"iou_macro_{suffix}"]), "")
    console.print(layers)
    paper = Table(title="The paper's scores (its Table 1)", title_justify="left")
    for column in ("score", "train", "val"):
        paper.add_column(column, justify="left" if column == "score" else "right")
    for label, name in PAPER_ROWS:
        paper.add_row(label, _cell(metrics.train.scores[name]), _cell(scores[name]))
    console.print(paper)
    if metrics.audit.is_leaky:
        console.print(
            f"[bold]{metrics.audit.stamp}[/bold]: these scores say little about new patients; try split=subject_holdout"
        )
    for line in missing:
        console.print(f"missing      {line}", markup=False)
    console.print(f"run folder   {run_dir}")
    console.print(
        "figures      "
        + "  ".join(str(path.relative_to(run_dir)) for path in sorted((run_dir / "figures").rglob("*.png")))
    )


def print_next(console: Console, run_dir: Path) -> None:
    """What to do with a finished run, as it is typed here."""
    program = Path(sys.executable).with_name("retseg")
    if program.is_relative_to(Path.cwd()):
        program = program.relative_to(Path.cwd())
    called = "retseg" if shutil.which("retseg") else str(program)
    shown = run_dir.relative_to(Path.cwd()) if run_dir.is_relative_to(Path.cwd()) else run_dir
    console.print(f"\nnext         {called} report {shown}", markup=False)
    console.print(f"             {called} predict SCANS --run {shown} -o OUT", markup=False)
    console.print(f"             {called} view --run {shown}", markup=False)


def _cell(value: float) -> str:
    return "absent" if value != value else f"{value:.4f}"
