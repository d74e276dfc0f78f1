"""What a finished sweep says beside its jobs: folds scored as one, the price of a leaky split, a table of ablations.

Each is a Hydra callback that conf/sweep/*.yaml names. They read the jobs' evaluations; a job without one is evaluated.
"""

import csv
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.table import Table

from retseg.commands.sweep_folder import read_jobs
from retseg.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from retseg.evaluation.sweep_tables import ArmDifference

RANDOM, APART = "random images", "subjects apart"
DICE, SURFACES = "mean Dice of the layers", "mean absolute surface error"
BASELINE = "baseline"


class SweepResult(Callback):
    """What is made of a sweep's folder when all its jobs are done.

    Hydra makes a warning of any error of a callback, so they are kept in `errors`: `python -m retseg.train` raises one.
    """

    errors: ClassVar[list[Exception]] = []

    def __init__(self, make: Callable[[Path], None]) -> None:
        self._make = make

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Make it, or keep the error. Nothing is made while a job is not done: it would not be what it says."""
        folder = Path(config.hydra.sweep.dir)
        if missing := [job for job in read_jobs(folder) if job.state != "done"]:
            sys.stderr.write(f"retseg: no table over all jobs, as {len(missing)} of them is not done\n")
            return
        try:
            self._make(folder)
        except Exception as error:
            SweepResult.errors.append(error)


def pooled_folds() -> SweepResult:
    """One evaluation of all folds together, by subject, in <sweep folder>/evaluation."""
    return SweepResult(write_pooled)


def leakage_table() -> SweepResult:
    """leakage.csv and leakage.png, random images against subjects apart."""
    return SweepResult(write_leakage)


def ablation_table() -> SweepResult:
    """ablation.csv and ablation.png, every variant against the baseline."""
    return SweepResult(write_ablation)


def evaluated_jobs(folder: Path) -> list[Path]:
    """Run folders of a sweep that are done, sorted by name, each with an evaluation. InputError where there is none."""
    from retseg.commands.evaluate import ensure_evaluated

    jobs = sorted(path.parent for path in folder.glob("*/metrics.json") if (path.parent / "config.yaml").is_file())
    if not jobs:
        raise InputError(f"{folder}: no job is done; see what failed above, and start the same command again")
    for job in jobs:
        ensure_evaluated(job)
    return jobs


def write_pooled(folder: Path) -> None:
    """The folds' predictions, scored as one set."""
    from retseg.commands.evaluate import pool_evaluations

    pool_evaluations(evaluated_jobs(folder), folder / "evaluation")


def write_leakage(folder: Path) -> None:
    """leakage.csv, leakage.png, leakage.pdf and a table, of a sweep with jobs of both kinds of split."""
    from retseg.evaluation.sweep_tables import compare_arms, subject_means
    from retseg.figures.sweeps import paired_subjects

    jobs = evaluated_jobs(folder)
    splits = {job: json.loads((job / "split.json").read_text()) for job in jobs}
    scans = job_scans(jobs, lambda job: RANDOM if splits[job]["rule"] == "paper" else APART)
    if missing := {RANDOM, APART} - set(scans["arm"]):
        raise InputError(f"{folder}: no job with {missing.pop()} is done; start the same command again")
    scores = [name for name in scans.columns if name.startswith((DICE, SURFACES))]
    compared = [next(row for row in compare_arms(scans, score, APART) if row.arm == RANDOM) for score in scores]
    names = ("score", "random_split", "subjects_apart", "difference", "low", "high", "p", "num_subjects")
    write_rows(folder / "leakage.csv", names, [_leakage_row(row) for row in compared])
    means = subject_means(scans, DICE)
    caption = _leakage_caption(list(splits.values()), jobs)
    sides = (means[APART].to_list(), means[RANDOM].to_list())
    save_figure(paired_subjects(list(means.index), *sides, (APART, RANDOM), DICE, caption), folder / "leakage")
    table = Table(title=f"How much a leaky split pays ({folder})\n{caption}", title_justify="left")
    for name in ("score", RANDOM, APART, "difference [95 % interval]", "p", "subjects"):
        table.add_column(name, no_wrap=True)
    for row in compared:
        table.add_row(row.score, f"{row.value:.4f}", f"{row.reference_value:.4f}", *_told(row), str(row.num_subjects))
    _console().print(table)


def _leakage_row(row: "ArmDifference") -> tuple[Any, ...]:
    return (row.score, row.value, row.reference_value, *_change(row), row.num_subjects)


def _change(row: "ArmDifference") -> tuple[float, float, float, float]:
    """Difference, its interval, and p before any correction."""
    return row.difference, row.difference_low, row.difference_high, row.p


def _leakage_caption(splits: Sequence[dict[str, Any]], jobs: Sequence[Path]) -> str:
    """What was trained on how much, and how the numbers are made."""
    sizes = " and ".join(str(size) for size in sorted({split["num_train"] for split in splits}))
    return (
        f"{_data(jobs)}: {len(jobs)} networks, each trained on {sizes} scans.\n"
        "A subject's score is the mean over its held-out scans and all seeds.\n"
        "Intervals and the exact paired test are by subject."
    )


def write_ablation(folder: Path) -> None:
    """ablation.csv, ablation.png, ablation.pdf and a table, of a sweep whose jobs are named VARIANT_seedN."""
    from retseg.evaluation.sweep_tables import compare_arms, corrected
    from retseg.figures.sweeps import DifferenceBar, differences

    jobs = evaluated_jobs(folder)
    scans = job_scans(jobs, lambda job: job.name.rpartition("_seed")[0])
    if BASELINE not in set(scans["arm"]):
        raise InputError(f"{folder}: no job with ablation={BASELINE} is done; start the same command again")
    rows = sorted(compare_arms(scans, DICE, BASELINE), key=lambda row: (row.arm != BASELINE, row.arm))
    adjusted = corrected(rows)
    seeds = scans.groupby("arm")["seed"].nunique()
    names = (
        *("ablation", "seeds", "subjects", "dice_layers", "low", "high"),
        *("difference", "difference_low", "difference_high", "p", "p_holm"),
    )
    content = [
        (row.arm, int(seeds[row.arm]), row.num_subjects, row.value, row.low, row.high, *_change(row), float(p))
        for row, p in zip(rows, adjusted, strict=True)
    ]
    write_rows(folder / "ablation.csv", names, content)
    caption = (
        f"{_data(jobs)}. A subject's score is the mean over its held-out scans and all seeds; intervals and\n"
        f"the exact paired test are over {rows[0].num_subjects} subjects; p is corrected after Holm."
    )
    bars = [
        DifferenceBar(
            row.arm, row.difference, row.difference_low, row.difference_high, f"{row.difference:+.3f}, p {p:.2g}"
        )
        for row, p in zip(rows, adjusted, strict=True)
        if row.arm != BASELINE
    ]
    save_figure(differences(bars, DICE, BASELINE, caption), folder / "ablation")
    table = Table(title=f"Ablations ({folder})\n{caption}", title_justify="left")
    for name in ("variant", "seeds", f"{DICE} [95 % interval]", "difference [95 % interval]", "p, Holm"):
        table.add_column(name, no_wrap=True)
    for row, p in zip(rows, adjusted, strict=True):
        value = f"{row.value:.4f} [{row.low:.4f}, {row.high:.4f}]"
        difference, _ = _told(row)
        shown = ("", "") if row.arm == BASELINE else (difference, f"{p:.4f}")
        table.add_row(row.arm, str(seeds[row.arm]), value, *shown)
    _console().print(table)


def _console() -> "Console":
    from retseg.commands.evaluation_report import report_console

    return report_console()


def _told(row: "ArmDifference") -> tuple[str, str]:
    return f"{row.difference:+.4f} [{row.difference_low:+.4f}, {row.difference_high:+.4f}]", f"{row.p:.4f}"


def _data(jobs: Sequence[Path]) -> str:
    """What the jobs were scored on, and who drew the labels."""
    data = json.loads((jobs[0] / "metrics.json").read_text())["data"]
    return f"{data['name']}, labels {data['label_origin']}"


def write_rows(path: Path, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A CSV, whole or not at all; nan is empty."""
    partial = path.with_suffix(".part")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(["" if value != value else value for value in row] for row in rows)
    partial.replace(path)


def save_figure(figure: Any, stem: Path) -> None:
    """A figure as PNG and PDF."""
    from retseg.figures.saving import save_png_and_pdf

    save_png_and_pdf(figure, stem, 150)


def job_scans(jobs: Sequence[Path], arm_of: Callable[[Path], str]) -> "pd.DataFrame":
    """A row for every scored scan of every job: arm, seed, subject, scan, and its scores under their printed names."""
    import pandas as pd

    tables = []
    for job in jobs:
        rows = pd.read_csv(job / "evaluation" / "scans.csv")
        scores = scan_scores(rows).reset_index()
        tables.append(scores.assign(arm=arm_of(job), seed=job.name.rpartition("_seed")[2]))
    return pd.concat(tables, ignore_index=True)


def scan_scores(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Per subject and scan, from the rows of an evaluation's scans.csv: mean Dice of the layers, mean surface error.

    The second is the mean over the eight surfaces of their mean absolute errors, in um, or in px without a scale.
    """
    from retseg.anatomy import LAYER_NAMES

    where = ["subject", "scan"]
    scores = rows[rows["layer"] == "scan"].set_index(where)[["dice"]].rename(columns={"dice": DICE})
    layers = rows[rows["layer"].isin(LAYER_NAMES)]
    last = rows[rows["layer"] == LAYER_NAMES[-1]].set_index(where)["lower_surface_mean_absolute"]
    surfaces = layers.set_index([*where, "layer"])["upper_surface_mean_absolute"].unstack("layer").assign(last=last)
    unit = rows["unit"].iloc[0]
    return scores.assign(**{f"{SURFACES}, {unit}": surfaces.mean(axis="columns")})
