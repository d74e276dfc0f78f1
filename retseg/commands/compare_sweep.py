"""`retseg compare SWEEP`: its jobs by their settings, best first, and which setting matters."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retseg.commands.sweep_folder import JOB_FILE, SCORES, SweepJob, read_jobs
from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.evaluation.setting_importance import Importance

SEED = "seed"
"""The setting that is noise, not a choice."""
GRID = (
    "Share of the variance among the jobs (bars): all rows add up to 100 %. Without noise (dots and lines): less what "
    "the scatter of seeds alone would bring, with its 95 % interval. p: F test against that scatter."
)
FOREST = (
    "What a setting alone tells of the score, as share of a random forest's variance (first-order Sobol index), with a "
    "95 % bootstrap over jobs."
)


@dataclass(frozen=True)
class SweepComparison:
    """Jobs, best first, those without a score last; the settings that vary; which of them matters, and a verdict."""

    jobs: list[SweepJob]
    names: list[str]
    score: str
    importance: "list[Importance]"
    definition: str
    verdict: str

    def value(self, job: SweepJob) -> float | None:
        """The score of a job, None where it is not done or the score is nan."""
        return _value(job, self.score)


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds jobs that a sweep left."""
    return not (folder / "config.yaml").is_file() and any(folder.glob(f"*/{JOB_FILE}"))


def compare_sweep(folder: Path, score: str) -> SweepComparison:
    """The comparison of a sweep's jobs by one validation score. InputError where it cannot be made."""
    if score not in SCORES:
        raise InputError(f"--score {score}: expected one of {', '.join(SCORES)}")
    jobs = read_jobs(folder)
    if missing := [job.name for job in jobs if job.settings is None]:
        raise InputError(
            f"{folder / missing[0]}: no {JOB_FILE}, it was begun by an older retseg; go on with resume={folder}, or "
            "start the sweep's command again with existing=continue, which writes it"
        )
    values = {id(job): _value(job, score) for job in jobs}
    sign = 1 if score == "loss" else -1
    ordered = sorted(jobs, key=lambda job: (values[id(job)] is None, sign * (values[id(job)] or 0)))
    every = dict.fromkeys(name for job in jobs for name in job.settings or {})
    names = [name for name in every if len({(job.settings or {}).get(name) for job in jobs}) > 1]
    return SweepComparison(ordered, names, score, *_importance(ordered, names, score))


def _value(job: SweepJob, score: str) -> float | None:
    if job.metrics is None:
        return None
    value = job.metrics["val"]["scores"][score]
    return None if value is None else float(value)


def settings_of(job: SweepJob, names: Sequence[str]) -> dict[str, str]:
    """A job's values of settings; "default" where it was given none."""
    return {name: (job.settings or {}).get(name, "default") for name in names}


def _importance(jobs: Sequence[SweepJob], names: Sequence[str], score: str) -> "tuple[list[Importance], str, str]":
    """Rows, their definition, and the verdict in one sentence."""
    import numpy as np

    from retseg.evaluation.forest_importance import MIN_JOBS_A_SETTING, forest_importance
    from retseg.evaluation.setting_importance import grid_array, grid_importance

    choices = [name for name in names if name != SEED]
    scored = [job for job in jobs if _value(job, score) is not None]
    if not choices or len(scored) < 2:
        return [], "", "too few jobs to tell: no setting varies but the seed" if scored else "no job is done"
    scores = np.array([_value(job, score) for job in scored], dtype=float)
    settings = [settings_of(job, choices) for job in scored]
    whole_grid = grid_array([settings_of(job, choices) for job in jobs], choices, np.zeros(len(jobs)))
    if whole_grid is not None and len(scored) == len(jobs):
        grid = grid_array(settings, choices, scores)
        assert grid is not None
        rows = grid_importance(grid, choices)
        return rows, GRID, _grid_verdict(rows, grid.shape[-1])
    if len(scored) < MIN_JOBS_A_SETTING * len(choices):
        why = "the grid has gaps" if whole_grid is not None else "no full grid"
        need = f"a forest on {len(choices)} setting(s) needs {MIN_JOBS_A_SETTING * len(choices)} jobs"
        return [], "", f"too few jobs to tell: {why}, and {need}, {len(scored)} are done"
    found = forest_importance(settings, choices, scores)
    return found.rows, FOREST, _forest_verdict(found.rows, found.r_squared)


def _grid_verdict(rows: "Sequence[Importance]", num_seeds: int) -> str:
    if num_seeds < 2:
        return "too few jobs to tell how sure this is: one seed for each combination; add seeds, e.g. seed=0,1,2"
    sure = [row for row in rows if row.p_holm < 0.05]
    if not sure:
        return "too few jobs to tell: no setting stands out from the scatter of seeds (p < 0.05, Holm)"
    sure.sort(key=lambda row: -row.share)
    told = (f"{row.of} ({100 * row.share:.0f} % of the variance, p {row.p_holm:.2g})" for row in sure)
    return "what matters beyond the scatter of seeds: " + ", ".join(told)


def _forest_verdict(rows: "Sequence[Importance]", r_squared: float) -> str:
    if r_squared <= 0:
        return f"too few jobs to tell: a forest cannot predict the score from the settings (R squared {r_squared:.2f})"
    best = max(rows, key=lambda row: row.share)
    others = [row for row in rows if row is not best]
    sure = all(best.low > row.high for row in others)
    name = f"{best.of} ({100 * best.share:.0f} %)" if sure else f"perhaps {best.of}, intervals overlap"
    return f"what matters most: {name}; R squared of the forest on unseen jobs {r_squared:.2f}"


def write_comparison(found: SweepComparison, folder: Path, output: Path) -> None:
    """jobs.csv, importance.csv, comparison.json, settings.png and .pdf, importance.png and .pdf."""
    from retseg.evaluation.atomic import make_folder
    from retseg.evaluation.json_files import write_object
    from retseg.evaluation.output import write_csv
    from retseg.figures.saving import save_whole
    from retseg.figures.sweep_settings import parallel_settings, setting_importance

    make_folder(output)
    jobs = [_row(found, job) for job in found.jobs]
    rows = [asdict(row) for row in found.importance]
    write_csv(output / "jobs.csv", jobs)
    if rows:
        write_csv(output / "importance.csv", rows)
    plain = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    content = {"score": f"val/{found.score}", "settings": found.names, "jobs": jobs, "importance": plain}
    content |= {"definition": found.definition, "verdict": found.verdict}
    write_object(output / "comparison.json", content)
    caption = f"{folder.name}: {_stamp(found)}"
    settings = [settings_of(job, found.names) for job in found.jobs]
    values = [found.value(job) for job in found.jobs]
    figure = parallel_settings(settings, found.names, values, f"val/{found.score}", caption)
    save_whole(figure, output / "settings.png", output / "settings.pdf")
    if rows:
        figure = setting_importance(found.importance, f"val/{found.score}", found.definition, caption)
        save_whole(figure, output / "importance.png", output / "importance.pdf")


def _row(found: SweepComparison, job: SweepJob) -> dict[str, Any]:
    scores = {f"val/{name}": _value(job, name) for name in SCORES}
    return {"job": job.name, **settings_of(job, found.names), **scores, "state": job.state, "reason": job.reason}


def _stamp(found: SweepComparison) -> str:
    """What no reader of the scores may overlook."""
    stamps = sorted({job.metrics["stamp"] for job in found.jobs if job.metrics is not None})
    chosen = "scores of each job's best epoch, chosen on the same validation scans, so optimistic"
    return "; ".join([*stamps, chosen])


def print_comparison(found: SweepComparison) -> None:
    """The jobs, best first, then what matters and the jobs that are not done."""
    from rich import box
    from rich.table import Table

    from retseg.commands.evaluation_report import report_console

    console = report_console()
    title = f"{len(found.jobs)} jobs by val/{found.score}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("job", *found.names, f"val/{found.score}"):
        table.add_column(name, overflow="fold", justify="right" if name.startswith("val/") else "left")
    for job in found.jobs:
        value = found.value(job)
        shown = job.state if value is None else f"{value:.4f}"
        table.add_row(job.name, *settings_of(job, found.names).values(), shown)
    console.print(table)
    if found.importance:
        console.print(_importance_table(found))
        console.print(found.definition, markup=False)
    lines = [found.verdict, _stamp(found)]
    lines += [f"{job.name} {job.state}: {job.reason}" for job in found.jobs if job.state != "done"]
    console.print("\n".join(lines), markup=False, soft_wrap=True)


def _importance_table(found: SweepComparison) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(title="Which setting matters", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("setting", "share of variance", "without noise [95 %]", "p (Holm)"):
        table.add_column(name, justify="left" if name == "setting" else "right")
    for row in found.importance:
        known = row.low == row.low
        interval = f"{100 * row.corrected:.1f} % [{100 * row.low:.1f}, {100 * row.high:.1f}]" if known else "-"
        p = f"{row.p_holm:.2g}" if row.p_holm == row.p_holm else "-"
        table.add_row(row.of, f"{100 * row.share:.1f} %", interval, p)
    return table
