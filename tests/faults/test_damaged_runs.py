"""Checkpoints that are damaged while, or after, a run trains: what is said, and how one goes on."""

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from lightning import Callback
from PIL import Image

from retseg.errors import InputError
from retseg.training.checkpoint_file import check_to_go_on, read_checkpoint


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


class DamageBest(Callback):
    """Flips a bit of the best checkpoint when training ends, before it is scored."""

    def on_fit_end(self, trainer, pl_module):
        damage(Path(trainer.default_root_dir) / "checkpoints" / "best.ckpt")


def refused(capsys, *arguments):
    """The one line that a command leaves with."""
    from retseg.__main__ import main as retseg_main
    from retseg.train import main as train_main

    main = train_main if arguments[0].startswith("resume=") else retseg_main
    sys.argv = ["retseg", *map(str, arguments)]
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_resuming_names_the_checkpoint_that_is_whole_and_goes_on_from_it(train, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [])
    plain = ("callbacks.gradcam=null", "callbacks.predictions=null")
    run = train("run", *plain)
    best, last = (run / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
    config = (run / "config.yaml").read_bytes()
    other = refused(capsys, f"resume={run}", "model.width=3")
    assert f"{last}: weights of another network than the one to go on with, " in other
    assert "expected (3, 1, 3, 3), found (2, 1, 3, 3)" in other
    fewer = refused(capsys, f"resume={run}", "trainer.max_epochs=1")
    assert fewer == f"retseg: trainer.max_epochs=1: {last} has come to epoch 2 already; take 2 or more\n"
    assert (run / "config.yaml").read_bytes() == config
    assert (run / "metrics.json").is_file()
    assert not (run / "FAILED").exists(), "it is done, and nothing of it was touched"
    damage(last)
    assert f"{last}: damaged, " in refused(capsys, f"resume={run}")
    assert re.search(
        r"best\.ckpt beside it is whole \(epoch \d\): copy it over last\.ckpt and resume again",
        refused(capsys, f"resume={run}"),
    )
    Image.fromarray(np.zeros((64, 96), np.uint8)).save(run / "x.png")
    assert f"{last}: damaged, " in refused(capsys, "predict", run / "x.png", "--weights", last, "-o", run / "out")
    shutil.copy(best, last)
    train("run", f"resume={run}", tiny=())
    assert read_checkpoint(last)["epoch"] == 1
    for path in (best, last):
        damage(path)
    with pytest.raises(InputError, match=r"last\.ckpt: damaged, .*; no other checkpoint beside it is whole"):
        check_to_go_on(last)


def test_the_best_checkpoint_is_checked_before_it_is_scored(train, capsys):
    spoil = "+callbacks.spoil={_target_: tests.faults.test_damaged_runs.DamageBest}"
    with pytest.raises(SystemExit) as left:
        train("run", spoil, "trainer.max_epochs=1", "callbacks.gradcam=null", "callbacks.predictions=null")
    assert left.value.code == 2
    assert re.search(r"best\.ckpt: damaged, its content has sha256 [0-9a-f]{12}\.\.\., it was", capsys.readouterr().err)
