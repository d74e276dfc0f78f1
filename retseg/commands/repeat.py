"""`retseg repeat`: train a run again from its configuration, and say whether it came out the same."""

from pathlib import Path
from typing import Annotated, Any

import typer

from retseg.errors import InputError

ACCOUNT = "repeat.json"


def repeat(
    run: Annotated[Path, typer.Argument(help="Run folder of a finished run; it is left as it is.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="New folder; without: RUN-repeat.")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Train and compare the first so many epochs alone (no weights).")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Where its data lies now; repeat the option.")
    ] = None,
) -> None:
    """Train a run again from its config.yaml, and say whether it came out the same, bit for bit.

    Compared: the weights of the best and of the last checkpoint (SHA-256), every
    value of metrics.csv, metrics.json, and the split. If they differ: the first
    epoch and metric in which they part, the largest difference, and what differs
    in packages, threads, processor, code and data. All of it goes to repeat.json.

    It takes as long as the run did, with as many threads, and sends nothing to a
    dashboard. A run that was cut off and resumed is repeated without a break, and
    should come out the same. Cut off itself, the same command goes on.

    Exit code: 0 the same, 1 different, 2 wrong input.

    In use:

      retseg repeat runs/phantom/2026-01-31_10-00-00

      retseg repeat RUN -o /scratch/again --epochs 2

      retseg repeat RUN --data root=/moved/duke
    """
    output = output or run.with_name(f"{run.resolve().name}-repeat")
    _refuse_unfinished(run)
    _refuse_used(run, output, epochs)

    from retseg.commands.repeat_comparison import compare_runs
    from retseg.commands.repeat_report import tell_repeat
    from retseg.commands.repeat_training import train_again

    train_again(run, output, data or (), epochs)
    comparison = compare_runs(run, output, epochs)
    _write(output, _account(run, epochs) | comparison.to_json())
    tell_repeat(run, output, comparison)
    if not comparison.is_same:
        raise typer.Exit(1)


def start_account(run: Path, output: Path, epochs: int | None) -> None:
    """Mark a folder as a repeat that is not over."""
    _write(output, _account(run, epochs) | {"same": None})


def _account(run: Path, epochs: int | None) -> dict[str, Any]:
    return {"command": "retseg repeat", "run": str(run.resolve()), "epochs": epochs}


def _write(output: Path, content: dict[str, Any]) -> None:
    from retseg.evaluation.atomic import make_folder
    from retseg.evaluation.json_files import write_object

    make_folder(output)
    write_object(output / ACCOUNT, content)


def _refuse_unfinished(run: Path) -> None:
    """InputError unless a folder holds a finished run."""
    if not run.is_dir():
        raise InputError(f"{run}: no such folder; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00")
    if not (run / "config.yaml").is_file():
        raise InputError(f"{run}: no config.yaml here; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00")
    for name in ("metrics.json", "metrics.csv", "split.json", "environment.json"):
        if not (run / name).is_file():
            raise InputError(f"{run}: no {name}, the run is not finished; go on with resume={run}, then repeat it")


def _refuse_used(run: Path, output: Path, epochs: int | None) -> None:
    """InputError where a folder is the run, inside it, or holds anything but an unfinished repeat of it."""
    from retseg.evaluation.json_files import read_object

    if output.resolve().is_relative_to(run.resolve()):
        raise InputError(f"{output}: inside the run itself, which is left as it is; choose another folder with -o")
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: a file; choose a folder with -o")
    if not output.exists() or not any(output.iterdir()):
        return
    if not (output / ACCOUNT).is_file():
        raise InputError(f"{output}: not empty, and no repeat of a run; choose a new folder with -o")
    account = read_object(output / ACCOUNT)
    if account.get("same") is not None:
        told = "the same" if account["same"] else "different"
        raise InputError(f"{output}: repeated already, and came out {told} ({ACCOUNT}); choose a new folder with -o")
    if {**_account(run, epochs), "same": None} != account:
        raise InputError(f"{output}: began to repeat another run, or other epochs; choose a new folder with -o")
