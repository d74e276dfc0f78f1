"""An epoch that is stopped midway and resumed has the row that an undisturbed one has."""

import csv
from functools import partial

import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torchmetrics import MeanMetric

from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import SubjectHoldout
from retseg.losses import Consistency, CrossEntropyDice
from retseg.metrics.overlap import OverlapScores
from retseg.models.segnet import SegNet
from retseg.training.callbacks.averaging import AverageWeights
from retseg.training.callbacks.interrupt import SaveOnInterrupt
from retseg.training.checkpoint_file import read_checkpoint, save_atomically
from retseg.training.checkpoint_io import AtomicCheckpointIO
from retseg.training.datamodule import OctDataModule
from retseg.training.epoch_so_far import KEY, sums_so_far, take_up
from retseg.training.history import HistoryLogger
from retseg.training.mean_teacher import MeanTeacher
from retseg.training.module import SegmentationModule
from tests.training.interruptions import Interrupt

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*"),
]


def fit(folder, stop_at=None, has_teacher=False, more=(), **settings):
    """Rows of two epochs of four steps, from last.ckpt if it is there; with stop_at, SIGTERM in that one."""
    source = PhantomSource(num_subjects=2, bscans_per_subject=7, height=32, width=48)
    data = OctDataModule(source, SubjectHoldout([2]), 2, (32, 32))
    torch.manual_seed(0)
    teacher = MeanTeacher(Consistency(), pixels="all", ramp_steps=1) if has_teacher else None
    module = SegmentationModule(SegNet(width=2), CrossEntropyDice(), partial(torch.optim.SGD, lr=0.1), teacher=teacher)
    callbacks = [AverageWeights()] if has_teacher else []
    callbacks += [SaveOnInterrupt(str(folder)), *([] if stop_at is None else [Interrupt(stop_at, "SIGTERM")])]
    trainer = Trainer(
        **{"max_epochs": 2, "enable_checkpointing": False, **settings},
        accelerator="cpu",
        logger=HistoryLogger(str(folder)),
        callbacks=[*callbacks, *more],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    last = folder / "last.ckpt"
    trainer.fit(module, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def stop(folder, step, has_teacher=False):
    with pytest.raises(SystemExit) as stopped:
        fit(folder, step, has_teacher)
    assert stopped.value.code == 143


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return fit(tmp_path_factory.mktemp("undisturbed"))


def test_stopped_twice_in_one_epoch_its_row_is_the_undisturbed_one(tmp_path, undisturbed):
    assert len(undisturbed) == 2
    stop(tmp_path, 4)
    stop(tmp_path, 5)
    assert fit(tmp_path) == undisturbed


def test_with_a_teacher_its_loss_is_whole_too(tmp_path):
    whole = fit(tmp_path / "whole", has_teacher=True)
    assert float(whole[1]["train/teacher_loss"]) > 0
    stop(tmp_path / "stopped", 5, has_teacher=True)
    assert fit(tmp_path / "stopped", has_teacher=True) == whole


def test_a_checkpoint_without_the_sums_is_resumed_and_a_warning_says_what_it_costs(tmp_path, undisturbed):
    stop(tmp_path, 5)
    content = read_checkpoint(tmp_path / "last.ckpt")
    del content[KEY]
    save_atomically(content, tmp_path / "last.ckpt")
    with pytest.warns(UserWarning, match="training columns of epoch 2 will be of the steps after the stop alone"):
        rows = fit(tmp_path)
    assert rows[0] == undisturbed[0]
    differing = {name for name in rows[1] if rows[1][name] != undisturbed[1][name]}
    assert "train/loss" in differing
    assert all(name.startswith("train") for name in differing)


class Gone(Callback):
    """Ends the process's training after the validation of the second epoch, before that epoch's row."""

    def on_train_epoch_end(self, trainer, pl_module):
        if trainer.current_epoch == 1:
            raise SystemExit


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
def test_killed_between_a_checkpoint_of_validations_end_and_the_row(tmp_path):
    """Validated every second epoch, Lightning saves before the epoch ends, and resumes it there without a step."""

    def rows(name, *more):
        keeper = ModelCheckpoint(tmp_path / name, "last", enable_version_counter=False)
        settings = {"max_epochs": 3, "check_val_every_n_epoch": 2, "enable_checkpointing": True}
        return fit(tmp_path / name, more=[keeper, *more], **settings)

    whole = rows("whole")
    assert [bool(row["val/loss"]) for row in whole] == [False, True, False]
    with pytest.raises(SystemExit):
        rows("killed", Gone())
    assert rows("killed") == whole


@pytest.mark.parametrize(("num_before", "num_now"), [(1, 1), (2, 2), (3, 2), (2, 3), (3, 1)])
def test_sums_of_some_processes_are_dealt_out_to_any_number(num_before, num_now):
    sums = {"loss": {"mean_value": torch.arange(1.0, 1 + num_before), "weight": torch.ones(num_before)}}
    found = []
    for rank in range(num_now):
        metric = MeanMetric()
        take_up({"loss": metric}, sums, rank, num_now)
        found.append(metric.mean_value.item())
        assert metric.update_called == (rank < num_before)
    assert sum(found) == sum(range(1, 1 + num_before))
    if num_before == num_now:
        assert found == list(range(1, 1 + num_before))


def test_sums_of_one_process_are_its_states():
    scores = OverlapScores(("background", "layer"))
    scores.update(torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]]]), torch.tensor([[[0, 1]]]))
    sums = sums_so_far({"scores": scores})
    again = OverlapScores(("background", "layer"))
    take_up({"scores": again}, sums, 0, 1)
    assert sums["scores"]["confusion"].shape == (1, 2, 2)
    assert {name: value.item() for name, value in again.compute().items()} == pytest.approx(
        {name: value.item() for name, value in scores.compute().items()}
    )
