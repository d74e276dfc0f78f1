import math
import os
import signal

import pytest
import torch
from lightning import Callback

from retseg.errors import InputError
from retseg.training.history import read_history
from retseg.training.schedules import Constant, Cosine, OneCycle, Poly
from tests.training.test_resume import assert_same, run_cut_off, weights


def rates(schedule, num_steps, lr=0.1):
    """Rate at every step of a run, and the one it is left with."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = schedule(optimizer, num_steps)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return [*found, optimizer.param_groups[0]["lr"]]


def test_cosine_rises_in_even_steps_and_falls_along_half_a_cosine():
    expected = [0.025, 0.05, 0.075, 0.1] + [0.1 * (1 + math.cos(math.pi * step / 16)) / 2 for step in range(17)]
    assert rates(Cosine(warm_up=0.2), 20) == pytest.approx(expected, abs=1e-12)


def test_cosine_without_warm_up_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7, eta_min=0.02)
    theirs = [0.1]
    for _ in range(7):
        optimizer.step()
        scheduler.step()
        theirs.append(optimizer.param_groups[0]["lr"])
    assert rates(Cosine(warm_up=0, floor=0.2), 7) == pytest.approx(theirs, abs=1e-12)


def test_poly_is_torchs():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=7, power=0.9)
    theirs = [0.1]
    for _ in range(7):
        optimizer.step()
        scheduler.step()
        theirs.append(optimizer.param_groups[0]["lr"])
    assert rates(Poly(), 7) == pytest.approx(theirs, abs=1e-9)


def test_poly_with_warm_up_and_floor_by_hand():
    assert rates(Poly(power=2, warm_up=0.4, floor=0.1), 5) == pytest.approx(
        [0.05, 0.1, 0.1, 0.1 * (0.1 + 0.9 * 4 / 9), 0.1 * (0.1 + 0.9 / 9), 0.01]
    )


@pytest.mark.parametrize("schedule", [Cosine(), Cosine(warm_up=1), Poly(), Constant()])
def test_a_run_of_one_step_has_a_rate(schedule):
    assert rates(schedule, 1)[0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cosine(warm_up=1.5), r"scheduler.warm_up: 1.5, expected a share from 0 to 1"),
        (lambda: Poly(floor=-1), r"scheduler.floor: -1, expected a share from 0 to 1"),
        (lambda: Poly(power=0), r"scheduler.power: 0, expected more than 0"),
    ],
)
def test_refuses_wrong_settings(make, message):
    with pytest.raises(InputError, match=message):
        make()


ACCUMULATED = ("trainer.accumulate_grad_batches=2", "trainer.max_epochs=3", "scheduler.max_lr=0.02")


@pytest.mark.parametrize(("accumulated", "num_steps"), [(1, 9), (2, 6), (3, 3), (4, 3)])
def test_a_schedule_comes_to_its_end_with_accumulated_gradients(train, accumulated, num_steps):
    """Three batches an epoch; what is left over at its end is a step too."""
    run_dir = train("run", *ACCUMULATED, f"trainer.accumulate_grad_batches={accumulated}")
    expected = rates(OneCycle(max_lr=0.02), num_steps)
    assert expected[num_steps - 1] < 1e-6
    found = [float(row["lr"]) for row in read_history(run_dir / "metrics.csv")]  # after the steps of 1, 2, 3 epochs
    assert found == pytest.approx([expected[epoch * num_steps // 3] for epoch in (1, 2, 3)])


class SignalBetweenTwoBatches(Callback):
    """Sends SIGTERM in the first of the batches that make up a step, in one epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if (trainer.current_epoch, batch_idx) == (self.epoch, 0):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.slow
def test_sigterm_between_two_accumulated_batches_waits_for_the_step(train, tmp_path):
    undisturbed = train("undisturbed", *ACCUMULATED)
    cut = tmp_path / "cut"
    cut.mkdir()
    between = "+callbacks.between={_target_: tests.training.test_schedules.SignalBetweenTwoBatches, epoch: 1}"
    stopped = run_cut_off(cut, 10**9, "SIGTERM", (*ACCUMULATED, between))
    assert stopped.returncode == 143
    assert torch.load(cut / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 3
    train("", f"resume={cut}", "callbacks.between.epoch=99", tiny=())
    assert_same(weights(cut), weights(undisturbed))
