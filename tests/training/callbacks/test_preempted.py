"""SIGUSR2 where a launcher waits for it: saved first, then the launcher's turn; elsewhere it is left alone."""

import signal

import pytest
import torch

from tests.commands.cut_once import cut_once

RUN = ("callbacks.gradcam=null", "callbacks.predictions=null", "trainer.max_epochs=2")


@pytest.fixture
def requeued():
    """The signals that a launcher's handler got; it ends the process as submitit's does."""
    came = []

    def requeue(number, frame):
        came.append(number)
        raise SystemExit(144)

    before = signal.signal(signal.SIGUSR2, requeue)
    yield came
    assert signal.getsignal(signal.SIGUSR2) is requeue, "the signal is given back"
    signal.signal(signal.SIGUSR2, before)


def weights(run_dir):
    return torch.load(run_dir / "checkpoints" / "last.ckpt", weights_only=True)


def test_a_preempted_run_saves_in_mid_epoch_is_requeued_and_ends_as_if_it_had_not_been(train, tmp_path, requeued):
    cut = cut_once(tmp_path / "mark", seed=0, step=3, name="SIGUSR2")  # 3 steps an epoch
    with pytest.raises(SystemExit) as left:
        train("preempted", *RUN, cut)
    assert left.value.code == 144
    assert requeued == [signal.SIGUSR2]
    run_dir = tmp_path / "preempted"
    assert weights(run_dir)["global_step"] == 4
    assert not (run_dir / "FAILED").exists(), "it has not failed"
    train("preempted", *RUN, cut, "existing=continue")
    undisturbed = weights(train("undisturbed", *RUN))["state_dict"]
    assert all(torch.equal(tensor, undisturbed[name]) for name, tensor in weights(run_dir)["state_dict"].items())


def test_a_run_that_is_not_preempted_leaves_the_signal_to_the_launcher(train, requeued):
    train("run", *RUN)
    assert requeued == []
