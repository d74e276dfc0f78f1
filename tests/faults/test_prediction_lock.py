"""Two calls of `retseg predict` into one folder: the second is refused; one that was killed keeps nobody out."""

import os
import signal
import subprocess
import sys

from retseg.inference.kept_scans import KeptScans
from tests.commands.conftest import retseg  # noqa: F401  a fixture
from tests.faults.cut_off import SCALE, write_scans

HOLD = """
import pathlib, sys
from retseg.commands.run_lock import PREDICTION, folder_locked
with folder_locked(pathlib.Path(sys.argv[1]), PREDICTION):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_is_refused_and_a_killed_one_keeps_nobody_out(retseg, tmp_path, monkeypatch):  # noqa: F811
    scans, out = write_scans(tmp_path / "scans"), tmp_path / "out"
    call = ("predict", scans / "a.png", "-o", out, "--save", "mask", "--jobs", 1, "-q", *SCALE)
    command = [sys.executable, "-c", HOLD, str(out)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        (out / ".run.json.1.part").write_text("the first call's, half written")
        before = sorted(out.iterdir())
        code, _, error = retseg(*call, "--overwrite")
        assert code == 2
        assert error.startswith(f"retseg: {out}: process {holder.pid} on ")
        assert error.endswith(" predicts here; wait until it ends, or choose another -o\n")
        assert error.count("\n") == 1
        assert sorted(out.iterdir()) == before
        assert retseg(*call, "--dry-run")[0] == 0, "it writes nothing"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (out / "predict.lock").exists()
    held = []
    save = KeptScans.save
    monkeypatch.setattr(KeptScans, "save", lambda *each: held.append((out / "predict.lock").read_text()) or save(*each))
    assert retseg(*call)[0] == 0
    assert [text.startswith(f"process {os.getpid()} on ") for text in held] == [True]
    assert not (out / "predict.lock").exists()
