"""`retseg calibrate`: how far predictions are from the truth on held-out scans, so that others come with intervals."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

LEVELS = (0.9, 0.95)


class Side(str, Enum):
    """Which scans of the run's split are predicted."""

    VAL = "val"
    TEST = "test"


def calibrate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; several are one ensemble.")],
    views: Annotated[int, typer.Option(min=1, help="Times that each network looks, as in predict.")] = 1,
    dropout: Annotated[int, typer.Option(min=0, help="Samples of networks with dropout, as in predict.")] = 0,
    smoothness: Annotated[float, typer.Option(min=0, metavar="NATS", help="As in predict.")] = 0.0,
    level: Annotated[
        list[float] | None, typer.Option(help="Share of intervals to hold the truth; repeat; without: 0.9, 0.95.")
    ] = None,
    on: Annotated[Side | None, typer.Option(help="Side of the run's split; without: val.")] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="CHOICE|NAME=VALUE", help="Other data, or where it lies now; repeat.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table, no progress bar.")] = False,
) -> None:
    """Find out, on scans that a network has not learned from, how far its thicknesses are off.

    Predicts them as `retseg predict` does, each scan whole, and writes
    RUN/reference.json: factors that turn the network's own spread into
    intervals, by layer, for columns, areas (ETDRS sectors) and scan means,
    and what scans look like that the network knows. `retseg predict` then
    gives intervals, and says which scans are unlike these.

    Intervals hold for one way of predicting: calibrate with the runs, --views,
    --dropout and --smoothness that you predict with. Several stand side by side.

    Validation scans may have chosen the checkpoint; --on test or --data takes
    others. Subjects differ: at least 3 are needed, and 10 say a lot more.

    In use:

      retseg calibrate runs/phantom/2026-01-31_10-00-00

      retseg calibrate RUN --views 4 --level 0.9

      retseg calibrate RUN_A RUN_B RUN_C

      retseg calibrate RUN --data hdf5 --data root=data/other_h5
    """
    from retseg.commands.calibration import Call, calibrate_runs
    from retseg.commands.calibration_report import tell_calibration

    call = Call(
        runs=tuple(runs),
        views=views,
        dropout=dropout,
        smoothness=smoothness,
        levels=tuple(level or LEVELS),
        side=None if on is None else on.value,
        data=tuple(data or ()),
        quiet=quiet,
    )
    found = calibrate_runs(call)
    if not quiet:
        tell_calibration(found)
