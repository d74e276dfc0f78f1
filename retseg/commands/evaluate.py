"""`retseg evaluate`: score a trained network on scans that it has not seen, and say how far to believe the numbers."""

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from retseg.evaluation.evaluation import Evaluation

NUM_DRAWS = 2000


class Side(str, Enum):
    """Which scans of the run's split are scored."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Checkpoint(str, Enum):
    """Which weights are scored."""

    BEST = "best"
    LAST = "last"


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data: Annotated[
        list[str] | None, typer.Option(metavar="CHOICE|NAME=VALUE", help="Other data, or where it lies now; repeat.")
    ] = None,
    on: Annotated[Side | None, typer.Option(help="Side of the run's split; without: test if there is one.")] = None,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which weights.")] = Checkpoint.BEST,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; without: RUN/evaluation.")] = None,
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0: no intervals.")] = NUM_DRAWS,
    figures: Annotated[bool, typer.Option(help="Draw figures.")] = True,
    fresh: Annotated[bool, typer.Option("--fresh", help="Predict again, even if predictions are saved.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tables, no progress bar.")] = False,
) -> None:
    """Score a run: overlap, surfaces in um, topology, calibration, each beside its ceiling and its interval.

    Writes metrics.json, scores.csv, scans.csv, misclassification.csv, figures,
    and the predictions, so that scoring again needs no data. Of a network
    with fluid: fluid_scores.csv, fluid_scans.csv, fluid_subjects.csv, too.

    Data of another source is scored on all its scans, into RUN/evaluation_<its name>.

    In use:

      retseg evaluate runs/phantom/2026-01-31_10-00-00

      retseg evaluate RUN --data root=/moved/duke

      retseg evaluate RUN --data hdf5 --data root=data/other_h5

      retseg evaluate RUN --on train --no-figures
    """
    evaluation, folder = evaluate_run(
        run,
        checkpoint=checkpoint.value,
        side=None if on is None else on.value,
        data=data or (),
        output=output,
        num_draws=draws,
        figures=figures,
        fresh=fresh,
        quiet=quiet,
    )
    if not quiet:
        tell(evaluation, folder)


def evaluate_run(
    run_dir: Path,
    *,
    checkpoint: str = "best",
    side: str | None = None,
    data: Sequence[str] = (),
    output: Path | None = None,
    num_draws: int = NUM_DRAWS,
    figures: bool = True,
    fresh: bool = False,
    quiet: bool = False,
) -> "tuple[Evaluation, Path]":
    """Evaluate a run folder and write all files; the evaluation, and the folder that it is in."""
    from retseg.commands.evaluation_figures import draw_figures
    from retseg.commands.run_evaluation import Request, default_folder, evaluate_scans
    from retseg.commands.scored_run import open_run
    from retseg.evaluation.output import write_numbers

    run = open_run(run_dir, checkpoint)
    request = Request(side, tuple(data), num_draws, fresh, quiet)
    folder = output or default_folder(run, request)
    evaluation = evaluate_scans(run, folder, request)
    if figures:
        draw_figures(evaluation, folder / "figures")
    write_numbers(evaluation, folder)
    return evaluation, folder


def ensure_evaluated(run_dir: Path) -> Path:
    """The folder of a run's evaluation, made now, without figures, unless there is one of its present weights."""
    from retseg.commands.run_evaluation import is_evaluated
    from retseg.commands.scored_run import open_run

    folder = run_dir / "evaluation"
    if not is_evaluated(open_run(run_dir), folder):
        evaluate_run(run_dir, figures=False, quiet=True)
    return folder


def pool_evaluations(folders: Sequence[Path], output: Path, *, quiet: bool = False) -> "Evaluation":
    """One evaluation of several runs' saved predictions (the folds of a cross-validation), written into output.

    Each scan counts once. InputError where two runs have scored the same scan.
    """
    from retseg.commands.evaluation_figures import draw_figures
    from retseg.commands.pooled_evaluation import pooled
    from retseg.evaluation.output import write_numbers

    evaluation = pooled([ensure_evaluated(folder) for folder in folders], output, quiet)
    draw_figures(evaluation, output / "figures")
    write_numbers(evaluation, output)
    if not quiet:
        tell(evaluation, output)
    return evaluation


def tell(evaluation: "Evaluation", folder: Path) -> None:
    """Print the tables, and what was written where."""
    from retseg.commands.evaluation_report import print_evaluation, report_console

    console = report_console()
    print_evaluation(console, evaluation)
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    figures = sorted(path.name for path in (folder / "figures").glob("*.png"))
    console.print(f"\nwritten to {folder}: {', '.join(names)}")
    if figures:
        console.print(f"figures to open: {', '.join(figures)}")
