"""The audit of a set too large to read before training: a process of its own beside training, on one core."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from retseg.data.audit import Audit
from retseg.training.environment import is_main_process


@contextmanager
def audited_later(console: Console, run_dir: Path, audit: Audit) -> Iterator[Callable[[], Audit]]:
    """While the block runs, `retseg audit RUN` does too, if audit has compared no content yet.

    Gives a function that waits for it and gives what it found, which then stands in RUN/audit.json. Where it failed,
    that is told, and the audit stays as it was, with its stamp. The process ends with the block, and is started by
    the first of several processes alone.
    """
    if audit.content != "not yet" or not is_main_process():
        yield lambda: audit
        return
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, "-m", "retseg", "audit", str(run_dir)]
        alone = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=alone)
        if hasattr(os, "setpriority"):
            os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # training goes first

        def found() -> Audit:
            if process.poll() is None:
                console.print("audit        the content of all scans is still being compared")
            if process.wait() == 0:
                complete = Audit.from_json(run_dir / "audit.json")
                console.print(f"audit        {complete.stamp}")
                return complete
            errors.seek(0)
            reason = (errors.read().strip().splitlines() or [f"exit code {process.returncode}"])[-1]
            console.print(f"audit        content was not compared: {reason}; do it by: retseg audit {run_dir}")
            return audit

        try:
            yield found
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
