"""A clock that is put back or forward while retseg works, or was never set: nothing but what is shown goes by it."""

import datetime
import io
import os
import re
import sys
import time
import zipfile

import numpy as np
import pytest

from retseg.commands.run_lock import LOCK
from retseg.evaluation.store import read_npz, write_npz
from retseg.training.history import read_history
from retseg.view import downloads
from tests.training.interruptions import PutClock


@pytest.fixture
def clock(monkeypatch):
    """Time of day as PutClock has put it, in every module that tells it."""
    real_time, real_time_ns, real = time.time, time.time_ns, datetime.datetime

    class Put(real):
        @classmethod
        def now(cls, tz=None):
            return real.fromtimestamp(time.time(), tz)

    monkeypatch.setattr(PutClock, "offset_s", 0.0)
    monkeypatch.setattr(time, "time", lambda: real_time() + PutClock.offset_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_time_ns() + int(1e9 * PutClock.offset_s))
    monkeypatch.setattr(datetime, "datetime", Put)
    for name, module in list(sys.modules.items()):
        if name.startswith("retseg.") and getattr(module, "datetime", None) is real:
            monkeypatch.setattr(module, "datetime", Put)


def test_a_training_whose_clock_is_put_back_and_forward_is_as_ever(train, clock, tmp_path, capsys):
    plain = ("callbacks.gradcam=null", "callbacks.predictions=null")
    run = train("run", *plain, "+callbacks.clock._target_=tests.training.interruptions.PutClock")
    assert PutClock.offset_s == 82800, "the clock was not put: the test would not notice anything"
    rows = read_history(run / "metrics.csv")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(row[name] for row in rows for name in ("train/loss", "val/loss", "val/dice_macro_layers", "lr"))
    assert (run / "metrics.json").is_file()
    assert not (run / LOCK).exists()
    told = re.findall(r"(\S+) left", capsys.readouterr().out)
    assert len(told) == 2
    assert all(re.fullmatch(r"[0-9]:[0-9]{2}", left) for left in told), told
    assert told[-1] == "0:00"


def test_where_the_clock_was_never_set_arrays_are_written_with_the_bytes_of_any_time(monkeypatch, tmp_path):
    arrays = {"mask": np.arange(6, dtype=np.uint8).reshape(2, 3), "depth": np.linspace(0, 1, 5)}
    for year, name in ((0.0, "then"), (1.8e9, "now")):
        monkeypatch.setattr(time, "time", lambda year=year: year)
        write_npz(tmp_path / f"{name}.npz", arrays)
    assert (tmp_path / "then.npz").read_bytes() == (tmp_path / "now.npz").read_bytes()
    found = read_npz(tmp_path / "now.npz")
    assert all(np.array_equal(found[name], values) for name, values in arrays.items())


def test_where_the_clock_was_never_set_the_viewer_packs_what_it_hands_out(monkeypatch, tmp_path):
    class Scan:
        name = "scan"

    def written(scan, folder, kinds, half_widths):
        (folder / "scan_mask.png").write_bytes(b"pixels")
        os.utime(folder / "scan_mask.png", (0, 0))
        return [folder / "scan_mask.png"]

    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(downloads, "write_scan_files", written)
    monkeypatch.setattr(downloads, "_about", lambda *_: {"made_by": "retseg view"})
    with zipfile.ZipFile(io.BytesIO(downloads.everything(Scan(), None, None))) as packed:
        assert packed.namelist() == ["scan_mask.png", "scan_about.json"]
        assert packed.read("scan_mask.png") == b"pixels"
