"""Random damage of every kind of file that retseg reads: a result within bounds, or one line that names the file.

`python -m benchmarks.fuzz --cases 10000` prints, by format, how many cases were read, refused, or neither; the seed of
each of the last, and exit code 1 if there is one. `--format png --seed 7` repeats a case with its traceback.

A case is a file of a format (`fuzz_seeds`), spoilt by its seed (`fuzz_mutations`), and read as a user's would be. It
fails with any exception but InputError, with a message of several lines or without the file in it, with a result out
of bounds, with a signal (a C library that crashes), after CPU_S seconds of computing, and where anything is written.
No reader may take more than MEMORY_BYTES: the process has no more, beside what it took before.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz_mutations import mutated
from benchmarks.fuzz_networks import NETWORKS
from benchmarks.fuzz_seeds import FILES, Format
from retseg.errors import InputError

FORMATS = (*FILES, *NETWORKS)

MEMORY_BYTES = 3 * 2**30
"""Address space of a case: the largest array that is read (2 GiB), and half as much for what is made of it."""

CPU_S = 20
WAIT_S = 200
"""Time without an outcome after which a process is ended, be it computing or not."""

LONGEST_LINE = 2000
A_PROCESS = 50
"""Cases of one forked process, unless one of them ends it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A format's name and the seed of the damage."""

    format: str
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case: "read", "refused" or "other", and why."""

    case: Case
    what: str
    why: str


def cases_of(formats: Sequence[Format], num_cases: int, first_seed: int = 0) -> list[Case]:
    """As many cases, dealt evenly to the formats, those of a format one after the other."""
    shares = [num_cases // len(formats) + (i < num_cases % len(formats)) for i in range(len(formats))]
    return [
        Case(format_.name, first_seed + i) for format_, share in zip(formats, shares, strict=True) for i in range(share)
    ]


def spoilt(case: Case, whole: dict[str, bytes], format_: Format) -> tuple[bytes, str]:
    """The content of a case's file, and what was done to it."""
    draw = random.Random(f"{case.format} {case.seed}")
    content, words = whole[case.format], ""
    while content == whole[case.format]:
        content, words = mutated(whole[case.format], draw)
    return format_.wrap(content), words


def run_case(case: Case, format_: Format, path: Path, content: bytes) -> Outcome:
    """Read one spoilt file."""
    path.write_bytes(content)
    before = _files(path.parent)
    try:
        format_.read(path)
        outcome = Outcome(case, "read", "")
    except InputError as error:
        line = str(error)
        is_one = line.isprintable() and len(line) <= LONGEST_LINE
        named = any(str(place) in line for place in (path, path.parent))
        outcome = Outcome(case, "refused" if is_one and named else "other", f"line: {line[:300]!r}")
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)
        place = next((f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last) if "/retseg/" in f.filename), "")
        outcome = Outcome(case, "other", f"{place} {type(error).__name__}: {str(error)[:300]}")
    if _files(path.parent) != before:
        return Outcome(case, "other", f"wrote {_files(path.parent) - before}")
    return outcome


def _files(folder: Path) -> set[Path]:
    return {*folder.parent.rglob("*"), *Path.cwd().iterdir()}


def run_cases(cases: Sequence[Case], formats: Sequence[Format], root: Path) -> Iterator[Outcome]:
    """Outcomes of all cases, in their order, each read in a forked process with limits."""
    of_name = {format_.name: format_ for format_ in formats}
    whole, paths = {}, {}
    for name, format_ in of_name.items():
        folder = root / "files" / name
        folder.mkdir(parents=True)
        paths[name] = format_.make(folder)
        whole[name] = format_.unwrap(paths[name].read_bytes())
        paths[name].write_bytes(format_.wrap(whole[name]))
        format_.read(paths[name])  # a file that is whole is read
    (root / "empty").mkdir()

    def work(case: Case) -> Outcome:
        content, words = spoilt(case, whole, of_name[case.format])
        outcome = run_case(case, of_name[case.format], paths[case.format], content)
        return Outcome(case, outcome.what, f"{words}: {outcome.why}" if outcome.why else words)

    done = 0
    while done < len(cases):
        name = cases[done].format
        batch = [case for case in cases[done : done + A_PROCESS] if case.format == name]
        for outcome in _in_a_fork(batch, work, root):
            yield outcome
            done += 1


def _in_a_fork(batch: Sequence[Case], work: Callable[[Case], Outcome], root: Path) -> Iterator[Outcome]:
    """Outcomes of a batch up to its end, or up to the case that ends the process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 warns where there are threads: the child starts none of theirs, see `_limit`.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            _limit(root)
            for case in batch:
                used_s = resource.getrusage(resource.RUSAGE_SELF)
                spent = int(used_s.ru_utime + used_s.ru_stime) + 1
                resource.setrlimit(resource.RLIMIT_CPU, (spent + CPU_S, resource.RLIM_INFINITY))
                outcome = work(case)
                os.write(writing, (json.dumps([outcome.what, outcome.why]) + "\n").encode())
        finally:
            os._exit(0)
    os.close(writing)
    done = 0
    with os.fdopen(reading, "rb") as file:
        while select.select([file], [], [], WAIT_S)[0] and (line := file.readline()):
            what, why = json.loads(line)
            yield Outcome(batch[done], what, why)
            done += 1
    os.kill(pid, signal.SIGKILL)  # it has ended, or waits for what never comes
    _, status = os.waitpid(pid, 0)
    if done < len(batch):
        yield Outcome(batch[done], "other", f"the process ended: {_ending(status)}")


def _ending(status: int) -> str:
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def _limit(root: Path) -> None:
    """Of this process: an empty working folder, no output, one thread, no core file, and so much memory."""
    os.chdir(root / "empty")
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)  # OpenMP's threads do not survive a fork
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES, resource.RLIM_INFINITY))


def repeat(case: Case, formats: Sequence[Format]) -> None:
    """One case in this process, with its traceback."""
    format_ = next(format_ for format_ in formats if format_.name == case.format)
    with tempfile.TemporaryDirectory() as folder:
        path = format_.make(Path(folder))
        content, words = spoilt(case, {case.format: format_.unwrap(path.read_bytes())}, format_)
        print(f"{case.format} {case.seed}: {words}")
        path.write_bytes(content)
        format_.read(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--format", nargs="*", choices=[format_.name for format_ in FORMATS], default=None)
    parser.add_argument("--seed", type=int, default=None, help="repeat this case of the one --format")
    parser.add_argument("--first", type=int, default=0, help="seed of the first case of each format")
    options = parser.parse_args()
    formats = [format_ for format_ in FORMATS if options.format is None or format_.name in options.format]
    if options.seed is not None:
        repeat(Case(formats[0].name, options.seed), formats)
        return
    cases = cases_of(formats, options.cases, options.first)
    counts: dict[str, Counter[str]] = {format_.name: Counter() for format_ in formats}
    failures, start = [], time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for done, outcome in enumerate(run_cases(cases, formats, Path(folder)), start=1):
            counts[outcome.case.format][outcome.what] += 1
            if outcome.what == "other":
                failures.append(outcome)
                print(f"FAILED --format {outcome.case.format} --seed {outcome.case.seed}  {outcome.why}", flush=True)
            if done % 500 == 0 or done == len(cases):
                left_s = (time.monotonic() - start) / done * (len(cases) - done)
                print(f"{done} of {len(cases)} cases, {len(failures)} failed, {left_s:.0f} s left", flush=True)
    print(f"\n{'format':<16}{'cases':>7}{'read':>7}{'refused':>9}{'other':>7}")
    for name, of_format in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        numbers = (of_format.total(), *(of_format[what] for what in ("read", "refused", "other")))
        print("{:<16}{:>7}{:>7}{:>9}{:>7}".format(name, *numbers))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
