"""A run folder: whether it is whole and done, how it goes on, and what of it must not be overlooked."""

import csv
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from shlex import quote

from retseg.commands.doctor_files import check_checkpoint
from retseg.commands.doctor_findings import Check, Finding, counted, first_of, guarded, note, ok, problem
from retseg.commands.doctor_machine import disk
from retseg.evaluation.json_files import read_object

CHECKPOINTS = ("best", "last")
OWN_TO_RUNS = (
    "code.",
    "cpu",
    "threads.",
    "torch_threads",
    "packages_below.",
    "blas",
    "determinism.",
    "gpu",
    "platform",
)
"""Beginnings of facts that are told together, not one by one."""


def run_checks(run: Path) -> list[tuple[str, Check]]:
    """Checks of a run folder, each by itself."""
    return [
        ("configuration", partial(_check_config, run)),
        ("state", partial(_check_state, run)),
        *((f"{name}.ckpt", partial(_check_checkpoint, run, name)) for name in CHECKPOINTS),
        ("metrics", partial(_check_metrics, run)),
        ("split", partial(_check_split, run)),
        ("environment", partial(_check_environment, run)),
        ("leftovers", partial(_check_leftovers, run)),
        ("disk", lambda: [disk(run, "disk")]),
    ]


def _check_config(run: Path) -> Iterator[Finding]:
    from retseg.build import build_net, load_config

    config = load_config(run)
    net = build_net(config)
    yield ok("configuration", f"readable: {config.name}, {type(net).__name__}")


def _check_state(run: Path) -> Iterator[Finding]:
    """Done, running, failed or cut off."""
    from retseg.commands.failed_run import read_failure

    if (holder := _holder(run)) is not None:
        yield ok("state", f"{holder} trains here now{_reached(run)}")
        return
    failure = read_failure(run)
    if failure is not None:
        yield problem(
            "state",
            f"failed: {failure.reason}; mend that, then go on with: python -m retseg.train resume={quote(str(run))}",
        )
    if (run / "metrics.json").is_file():
        yield ok("state", "trained to its end and scored")
        return
    if failure is None:
        yield problem("state", f"not finished{_reached(run)}; {_how_to_go_on(run)}")


def _holder(run: Path) -> str | None:
    """Who holds the run folder's lock, in words; None where nobody does, or where only a kill has left it."""
    from retseg.commands.run_lock import LOCK

    path = run / LOCK
    if not path.is_file():
        return None
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # given back when the file is closed
        except OSError:
            return file.read(200).decode("utf-8", "replace").strip() or "another process"
    return None


def _reached(run: Path) -> str:
    """How far a run came, by its metrics.csv."""
    path = run / "metrics.csv"
    if not path.is_file():
        return ": not one epoch done"
    with path.open(newline="", encoding="utf-8") as file:
        return f": {counted(sum(1 for _ in csv.DictReader(file)), 'epoch')} done"


def _how_to_go_on(run: Path) -> str:
    if (run / "checkpoints" / "last.ckpt").is_file():
        return f"go on with: python -m retseg.train resume={quote(str(run))}"
    return "there is no checkpoint to go on from: start it anew in another folder"


def _check_checkpoint(run: Path, name: str) -> Iterator[Finding]:
    path = run / "checkpoints" / f"{name}.ckpt"
    if path.is_file():
        yield from check_checkpoint(path)
    elif (run / "metrics.json").is_file():
        yield problem(path.name, f"{path}: gone, though the run is done; take it from a copy, or train again")


def _check_metrics(run: Path) -> Iterator[Finding]:
    """metrics.csv and metrics.json: readable, finite, and of the weights that lie beside them."""
    from retseg.build import load_net
    from retseg.training.environment import weights_sha256
    from retseg.training.history import read_history

    if (run / "metrics.csv").is_file():
        rows = read_history(run / "metrics.csv")
        broken = [row.get("epoch") for row in rows if not math.isfinite(float(row.get("val/loss") or "nan"))]
        yield ok("metrics.csv", counted(len(rows), "epoch"))
        if broken:
            yield note("metrics.csv", f"no validation loss in {len(broken)} epochs, first in number {broken[0]}")
    if not (run / "metrics.json").is_file():
        return
    metrics = read_object(run / "metrics.json")
    named = metrics["checkpoint"]["weights_sha256"]
    if weights_sha256(load_net(run, "best")) != named:
        yield problem("metrics.json", f"scores of other weights than {run}/checkpoints/best.ckpt; train or score again")
    else:
        dice = metrics["val"]["scores"]["dice_macro_layers"]
        told = "absent" if dice is None else f"{dice:.4f}"
        yield ok("metrics.json", f"scores of best.ckpt, on validation: mean Dice of the layers {told}")
    reference = run / "reference.json"
    if reference.is_file() and read_object(reference).get("weights_sha256") != named:
        yield note("reference.json", f"of other weights; make it again: retseg calibrate {quote(str(run))}")


def _check_split(run: Path) -> Iterator[Finding]:
    path = run / "audit.json"
    if not path.is_file():
        yield note("split", f"never audited; run: retseg audit {quote(str(run))}")
        return
    audit = read_object(path)
    if audit.get("is_leaky"):
        yield note("split", f"{audit['stamp']}: scores say little about new patients; try split=subject_holdout")
    else:
        yield ok("split", str(audit["stamp"]))


def _check_environment(run: Path) -> Iterator[Finding]:
    """What differs from here and now."""
    from retseg.training.environment import describe_environment, differences

    path = run / "environment.json"
    if not path.is_file():
        yield note("environment", f"{path} is missing: what the run ran on is unknown")
        return
    made = read_object(path)
    found = differences(made, describe_environment(made.get("seed")))
    told = [f"{name.removeprefix('packages.')} {then or 'absent'} then, {now or 'absent'} now"
            for name, (then, now) in found.items() if not name.startswith(OWN_TO_RUNS)]  # fmt: skip
    yield from first_of([note("environment", line) for line in told], "packages")
    others = sorted({name.partition(".")[0] for name in found if name.startswith(OWN_TO_RUNS)})
    if others:
        yield note("environment", f"also other now: {', '.join(others)}; `retseg repeat` says whether it matters")
    if not found:
        yield ok("environment", "as it was when the run began")
    starts = made.get("starts") or []
    if len(starts) > 1:
        yield ok("environment", f"started {len(starts)} times: resumed {len(starts) - 1}")


def _check_leftovers(run: Path) -> Iterator[Finding]:
    """Files that a killed process left half written."""
    left = [path for path in run.rglob(".*.part*") if path.is_file()]
    if left:
        size = sum(path.stat().st_size for path in left) / 2**20
        yield note("leftovers", f"{len(left)} half-written files of a killed process, {size:.1f} MiB: remove {left[0]}")


def check_runs(folder: Path) -> Iterator[Finding]:
    """A sweep's jobs: one line for each that is not done, and a count."""
    runs = sorted(path.parent for path in folder.glob("*/config.yaml"))
    done = 0
    for run in runs:
        found = list(guarded(run.name, partial(_check_state, run)))
        done += all(finding.state == "ok" for finding in found)
        for finding in found:
            if finding.state != "ok":
                yield Finding(finding.state, run.name, finding.told)
    yield ok("jobs", f"{done} of {len(runs)} are done; give a job's folder to see more of it")
