"""Wrong configurations are one line and exit code 2, before any scan is read. More of them in tests/test_train.py."""

import errno
import os
import re

import pytest
import torch
from omegaconf import OmegaConf

from retseg.commands import read_scans
from retseg.commands.config_folder import compose_config
from retseg.commands.option_ranges import check_ranges
from retseg.errors import InputError
from tests.conftest import TINY


@pytest.fixture(scope="module")
def composed():
    """A configuration that is right; tests change copies."""
    return compose_config([*TINY])


@pytest.fixture
def nothing_is_read(monkeypatch):
    """Reading ends the test as an error of another kind would."""

    def read(*_):
        raise AssertionError("scans were read")

    monkeypatch.setattr(read_scans, "_read_all", read)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("trainer.max_epochs=abc", "trainer.max_epochs=abc: expected a whole number, 1 or more"),
        ("trainer.max_epochs=null", "trainer.max_epochs=null: expected a whole number, 1 or more"),
        ("seed=-1", "seed=-1: expected a whole number, 0 to 4294967295"),
        ("data.batch_size=1.5", "data.batch_size=1.5: expected a whole number, 1 or more"),
        ("data.size=64", "data.size=64: expected whole numbers of pixels, [height,width], or null"),
        ("data.size=[0,64]", "data.size=[0, 64]: expected whole numbers of pixels"),
        ("trainer.accumulate_grad_batches=0", "trainer.accumulate_grad_batches=0: expected a whole number, 1 or more"),
        ("callbacks.predictions.every_n_epochs=0", "callbacks.predictions.every_n_epochs=0: expected a whole number"),
        ("evaluate=maybe", "evaluate=maybe: expected true or false"),
        ("data.cache=some", "data.cache=some: expected true, false or auto"),
        ("+trainer.check_val_every_n_epoch=3", "trainer.check_val_every_n_epoch=3: more than trainer.max_epochs=2"),
        ("optimizer.betas=[2,3]", "optimizer: Invalid beta parameter at index 0: 2"),
        ("trainer.limit_train_batches=7.5", "trainer: You have passed invalid value 7.5 for limit_train_batches"),
        ("trainer.strategy=nonsense", "trainer: You selected an invalid strategy name: `strategy='nonsense'`"),
        (
            "trainer.devices=4",
            "trainer.devices: 4 processes for 2 validation scans, expected at least one scan for each",
        ),
        ("scheduler.factor=2", "scheduler.factor: no such option; scheduler has max_lr, warm_up"),
        ("scheduler=plateau scheduler.facto=2", "scheduler.facto: no such option, did you mean factor; scheduler has"),
    ],
)
def test_refused_before_anything_is_read(train, nothing_is_read, capsys, tmp_path, option, message):
    with pytest.raises(SystemExit) as leave:
        train("run", *option.split())
    errors = capsys.readouterr().err
    assert leave.value.code == 2
    assert errors.startswith(f"retseg: {message}")
    assert errors.count("\n") == 1
    assert not [path for path in (tmp_path / "run").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("trainer.gradient_clip_val", -1, "=-1: expected a number, 0 or more (0 or null: gradients are left)"),
        ("trainer.gradient_clip_val", float("nan"), "=nan: expected a number, 0 or more"),
        ("trainer.gradient_clip_val", float("inf"), "=inf: expected a number, 0 or more"),
        ("trainer.gradient_clip_val", True, "=True: expected a number, 0 or more"),
        ("trainer.limit_train_batches", 0, "=0: expected a number, more than 0, a share up to 1.0 or whole batches"),
        ("trainer.limit_val_batches", 0.0, "=0.0: expected a number, more than 0"),
        ("trainer.val_check_interval", 0, "=0: expected a number, more than 0, a share of an epoch or whole batches"),
        ("trainer.min_epochs", -1, "=-1: expected a whole number, 0 or more"),
        ("trainer.min_steps", -1, "=-1: expected a whole number, 0 or more"),
        ("trainer.max_steps", 0, "=0: nothing would be trained; take 1 or more, or -1 (no limit)"),
        ("trainer.num_sanity_val_steps", -2, "=-2: expected a whole number, -1 or more"),
        ("trainer.log_every_n_steps", -1, "=-1: expected a whole number, 1 or more"),
        ("callbacks.early_stopping.patience", -1, "=-1: expected a whole number, 0 or more"),
    ],
)
def test_numbers_that_lightning_takes_in_silence(composed, option, value, message):
    config = composed.copy()
    OmegaConf.update(config, option, value, force_add=True)
    with pytest.raises(InputError, match=f"^{re.escape(option + message)}"):
        check_ranges(config)


def test_numbers_that_are_left_to_lightning(composed):
    config = composed.copy()
    check_ranges(config)
    names = ("gradient_clip_val", "min_epochs", "min_steps", "num_sanity_val_steps", "val_check_interval")
    for name, value in [*((name, None) for name in names), ("gradient_clip_val", 0), ("max_steps", -1)]:
        OmegaConf.update(config, f"trainer.{name}", value, force_add=True)
        check_ranges(config)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none(train, nothing_is_read, capsys):
    with pytest.raises(SystemExit) as leave:
        train("run", "trainer.accelerator=gpu")
    assert leave.value.code == 2
    assert "retseg: trainer: No supported gpu backend found!" in capsys.readouterr().err


def test_a_score_that_does_not_exist_is_told_with_those_that_do(train, capsys):
    with pytest.raises(SystemExit) as leave:
        train("run", "callbacks.best.monitor=val/nonsense", "callbacks.predictions=null", "callbacks.gradcam=null")
    assert leave.value.code == 2
    errors = capsys.readouterr().err
    assert "`ModelCheckpoint(monitor='val/nonsense')` could not find the monitored key" in errors
    assert "'val/dice_macro_layers'" in errors
    assert errors.count("\n") == 1


def test_a_batch_larger_than_the_set_and_sizes_that_no_depth_divides_are_trained_all_the_same(train):
    options = ("data.batch_size=99", "data.size=[45,70]", "trainer.max_epochs=1", "callbacks.gradcam=null")
    run_dir = train("run", *options, "callbacks.predictions=null")
    assert torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 1


def test_the_name_of_a_folder_that_cannot_be_made(train, monkeypatch, capsys):
    """By Hydra, before the task begins: no folder, a read-only disk, a file in its place."""

    def mkdir(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.mkdir", mkdir)
        with pytest.raises(SystemExit) as leave:
            train("", *TINY, "hydra.run.dir=/nowhere/run", tiny=())
    assert leave.value.code == 2
    errors = capsys.readouterr().err
    assert errors == (
        "retseg: /nowhere/run: cannot be made a run folder (Read-only file system); choose another hydra.run.dir\n"
    )


def test_options_that_a_configuration_lacks_are_not_looked_at():
    from omegaconf import OmegaConf

    check_ranges(OmegaConf.create({"seed": 3}))
    with pytest.raises(InputError, match=r"seed=True: expected a whole number, 0 to 4294967295"):
        check_ranges(OmegaConf.create({"seed": True}))


def test_a_run_that_came_to_no_checkpoint_is_started_again_in_its_folder(train, nothing_is_read, capsys, tmp_path):
    with pytest.raises(AssertionError, match="scans were read"):
        train("run")
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(SystemExit):
        train("run")
    assert (
        "run: holds a run already; go on with existing=continue (it came to no checkpoint)" in capsys.readouterr().err
    )
