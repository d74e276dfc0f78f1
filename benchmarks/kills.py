"""SIGKILL at random moments of training, prediction and sweeps: every file whole, and the end as if nothing had been.

Run `python -m benchmarks.kills [--kills 30] [--what train predict sweep] [--seed 0]`; one kill again by its number:
`--what train --only 17`. `--keep FOLDER` copies each file that differs at the end, and the undisturbed run's, there.

First each command runs undisturbed, twice: the two must hold the same, else the comparison would tell nothing. Then
it is killed, once a round: every second round at a time drawn evenly over the undisturbed run's, and in the rounds
between at one of its writes, drawn evenly over them all (checkpoints, tables, figures, folders made and renamed), at
once or up to 10 ms into it. Every file under a final name must then be whole; what else is there must be named as
temporary. The command is started again, is killed once more in every fifth round, and goes on to its end; then no
temporary file may be left and every file must hold what the undisturbed run's does: the same tensors in checkpoints,
the same values in tables and JSON, the same pixels. What tells times is left out (`benchmarks/kills_content.py`).
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # before PyTorch is there: a process can be forked safely while it has one thread

from benchmarks.kills_content import content, differences  # noqa: E402
from benchmarks.kills_process import Ended, Moment, run  # noqa: E402
from benchmarks.kills_whole import broken, leftovers  # noqa: E402
from benchmarks.kills_work import Work, prediction, sweep, training  # noqa: E402

WORKS: dict[str, Callable[[Path], Work]] = {"train": training, "predict": prediction, "sweep": sweep}


TRIES = 3
"""Kills that are drawn again where the command had ended before."""


@dataclass(frozen=True)
class Undisturbed:
    """What an undisturbed run holds, a copy of its files, how long it took, and how often it wrote."""

    content: dict[str, str]
    files: Path
    seconds: float
    writes: int


def undisturbed(work: Work) -> Undisturbed:
    """Run a command twice; SystemExit where the two differ, or where files are not whole."""
    runs = []
    for _ in range(2):
        ended = _fresh(work, None)
        if ended.code:
            sys.exit(f"{work.name}: undisturbed, and yet exit code {ended.code}\n{ended.output}")
        runs.append((content(work.folder), ended))
    lines = [*differences(runs[0][0], runs[1][0]), *broken(work.folder), *leftovers(work.folder)]
    if lines:
        sys.exit(f"{work.name}: two undisturbed runs, and yet\n" + "\n".join(lines))
    files = work.folder.with_name(f"{work.folder.name}_undisturbed")
    work.folder.rename(files)
    return Undisturbed(runs[1][0], files, runs[1][1].seconds, runs[1][1].writes)


def moment(work: Work, number: int, seed: int, expected: Undisturbed) -> Moment:
    """The moment of a kill, by its number."""
    drawn = random.Random(f"{work.name} {seed} {number}")
    if number % 2 == 0:
        return Moment(seconds=drawn.uniform(0, expected.seconds))
    return Moment(write=drawn.randint(1, expected.writes), delay_s=drawn.choice((0, drawn.uniform(0, 0.01))))


def one_kill(work: Work, number: int, seed: int, expected: Undisturbed) -> tuple[str, list[str]]:
    """Kill a fresh run, look, and go on to the end: where it was cut off, and what is wrong."""
    when = moment(work, number, seed, expected)
    killed = _fresh(work, when)
    for _ in range(TRIES):
        if killed.code == -signal.SIGKILL:
            break
        # It had ended: the machine is less busy than for the undisturbed run. The same share of what it took now.
        share = (when.seconds or killed.seconds) / max(expected.seconds, killed.seconds)
        when = Moment(seconds=min(share, 0.95) * killed.seconds)
        killed = _fresh(work, when)
    wrong = [f"after the kill: {line}" for line in broken(work.folder)]
    where = f"{when}{f' ({killed.last})' if killed.last else ''}"
    where += "" if killed.code == -signal.SIGKILL else f", had ended with {killed.code}"
    if number % 5 == 4:
        second = moment(work, number + 100_000, seed, expected)
        _again(work, number, second)
        wrong += [f"after the second kill: {line}" for line in broken(work.folder)]
        where += f", again {second}"
    ended = _again(work, number, None)
    if ended.code:
        wrong.append(f"started again: exit code {ended.code}: {ended.output[-2000:]}")
    wrong += [f"at the end: left over: {line}" for line in leftovers(work.folder)]
    wrong += [f"at the end: {line}" for line in broken(work.folder)]
    wrong += [f"at the end: {line}" for line in differences(expected.content, content(work.folder))]
    return where, wrong


def _fresh(work: Work, when: Moment | None) -> Ended:
    shutil.rmtree(work.folder, ignore_errors=True)
    return run(work.task, work.arguments, work.folder, work.folder.parent / "output.log", when)


def _again(work: Work, number: int, when: Moment | None) -> Ended:
    return run(work.task, work.again(number), work.folder, work.folder.parent / "output.log", when)


def keep_differing(work: Work, expected: Undisturbed, folder: Path) -> None:
    """Copy each file that is in both runs and holds something else to folder, beside the undisturbed run's."""
    now = content(work.folder)
    for name in sorted(now.keys() & expected.content.keys()):
        if now[name] != expected.content[name]:
            for end, source in (("undisturbed", expected.files), ("killed", work.folder)):
                copy = folder / end / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source / name, copy)


def measure(what: str, place: Path, options: argparse.Namespace) -> int:
    """Kill one command options.kills times; how many of the kills something was wrong after."""
    work = WORKS[what](place)
    expected = undisturbed(work)
    files = f"{len(expected.content)} files, {expected.writes} writes"
    print(f"{what}: undisturbed {expected.seconds:.1f} s, {files}; two runs hold the same", flush=True)
    num_wrong, start = 0, time.monotonic()
    numbers = range(options.kills) if options.only is None else [options.only]
    for done, number in enumerate(numbers, 1):
        where, wrong = one_kill(work, number, options.seed, expected)
        num_wrong += bool(wrong)
        left = (time.monotonic() - start) / done * (len(numbers) - done)
        verdict = "WRONG" if wrong else "whole, and goes on to the same"
        print(f"{what} {number}: killed {where}: {verdict} ({left / 60:.0f} min left)", flush=True)
        for line in wrong:
            print(f"    {line}", flush=True)
        if wrong and options.keep:
            keep_differing(work, expected, options.keep / f"{what}_{options.seed}_{number}")
    print(f"{what}: {len(numbers)} kills with seed {options.seed}, wrong after {num_wrong}", flush=True)
    return num_wrong


def import_all() -> None:
    """Import what the commands take seconds to import, so that forked processes need not."""
    import highdicom
    import matplotlib.pyplot

    import retseg.commands.prediction
    import retseg.commands.training
    import retseg.train

    assert highdicom
    assert matplotlib.pyplot
    assert retseg


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="of each command")
    parser.add_argument("--what", nargs="+", choices=sorted(WORKS), default=list(WORKS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one kill, by its number")
    parser.add_argument("--keep", type=lambda name: Path(name).resolve(), help="folder for files that differ")
    options = parser.parse_args()
    import_all()
    num_wrong = 0
    with tempfile.TemporaryDirectory(prefix="kills_") as name:
        place = Path(name).resolve()
        if "predict" in options.what:
            made = training(place)
            run(made.task, made.arguments, made.folder, place / "output.log")
            made.folder.rename(place / "network")
        for what in options.what:
            num_wrong += measure(what, place, options)
    sys.exit(1 if num_wrong else 0)


if __name__ == "__main__":
    main()
