"""Packages imported in a process of its own, one after another, so that one that crashes takes nobody with it.

Run as `python -m retseg.commands.doctor_imports MODULE ...`; a line of JSON before and after each import.
"""

import importlib
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

MARK = "@retseg "
LONGEST_S = 180.0
"""Seconds in which all of them have to be imported."""


@dataclass(frozen=True, slots=True)
class Imported:
    """seconds: that the import took beside those before it. error: None where it worked."""

    module: str
    seconds: float
    error: str | None


def import_all(modules: Sequence[str], longest_s: float = LONGEST_S) -> list[Imported]:
    """Import modules in their order, in another process; in a new one behind a module that ends the process."""
    found: list[Imported] = []
    while len(found) < len(modules):
        found += _import_until_crash(modules[len(found) :], longest_s)
    return found


def _import_until_crash(modules: Sequence[str], longest_s: float) -> list[Imported]:
    """What one process imported, the last one being what it died of, if it did. Never empty."""
    command = [sys.executable, "-m", "retseg.commands.doctor_imports", *modules]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=longest_s)
        said, end = done.stdout, _ended(done.returncode)
    except subprocess.TimeoutExpired as error:
        said, end = (error.stdout or b"").decode(errors="replace"), f"not imported within {longest_s:.0f} s"
    lines = [json.loads(line[len(MARK) :]) for line in said.splitlines() if line.startswith(MARK)]
    found = [Imported(**line) for line in lines]
    return found if len(found) == len(modules) else [*found, Imported(modules[len(found)], 0.0, end)]


def _ended(code: int) -> str:
    return f"the process was ended by signal {-code}" if code < 0 else f"the process left with exit code {code}"


def main() -> None:
    """Import what the command line names, and tell of each."""
    for module in sys.argv[1:]:
        start = time.monotonic()
        error = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module(module)
            except BaseException as caught:  # of any kind: a broken package raises what it likes
                error = f"{type(caught).__name__}: {' '.join(str(caught).split())}"
        told = {"module": module, "seconds": round(time.monotonic() - start, 2), "error": error}
        print(f"\n{MARK}{json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()
