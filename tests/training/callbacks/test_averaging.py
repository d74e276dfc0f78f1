"""The moving average of the weights is validated, kept and drawn; training itself does not notice it."""

import copy
from pathlib import Path

import pytest
import torch
from lightning import Callback, Trainer

from retseg.build import load_net
from retseg.data.dataset import collate
from retseg.errors import InputError
from retseg.losses import CrossEntropyDice
from retseg.training.callbacks.averaging import AverageWeights
from retseg.training.callbacks.interrupt import SaveOnInterrupt
from retseg.training.history import read_history
from tests.training.callbacks.three_scans import QUIET, Data, module
from tests.training.test_resume import assert_same, run_cut_off

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # lightning 2.6.6 on torch 2.15
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # three tiny scans need none
]
# With augmentation that draws all it can: the average can only be the same where the draws are.
EMA = ("callbacks=ema", "callbacks.averaging.decay=0.8", "augmentation=strong", "trainer.max_epochs=3")
# The average teaches: what it is decides what is learned.
TAUGHT = (*EMA, "teacher=mean", "teacher.pixels=all", "teacher.ramp_steps=4", "teacher.loss.min_confidence=0.0")


class Watch(Callback):
    """Copies of the network: as trained after every step, and as validation's pictures see it."""

    def __init__(self):
        self.trained, self.drawn = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        self.trained.append(copy.deepcopy(pl_module.net.state_dict()))

    def on_validation_end(self, trainer, pl_module):
        self.drawn.append(copy.deepcopy(pl_module.net.state_dict()))


def moving_average(states, decay):
    """By the formula, one tensor after another."""
    average = copy.deepcopy(states[0])
    for number, state in enumerate(states[1:], start=1):
        kept = min(decay, (1 + number) / (10 + number))
        for name, value in state.items():
            average[name] = kept * average[name] + (1 - kept) * value if value.is_floating_point() else value
    return average


def assert_close(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], rtol=1e-5, atol=1e-7), name


@pytest.mark.parametrize("decay", [0.15, 0.999])
def test_the_average_is_of_weights_and_statistics_after_every_step(decay):
    watch, network = Watch(), module()
    Trainer(**QUIET | {"max_epochs": 3}, callbacks=[AverageWeights(decay), watch]).fit(network, Data())
    assert len(watch.trained) == 6
    assert any("running_mean" in name for name in watch.trained[0])
    assert_close(network.net.state_dict(), moving_average(watch.trained, decay))
    for epoch in (1, 2, 3):  # drawn[0] is of the check before training
        assert_close(watch.drawn[epoch], moving_average(watch.trained[: 2 * epoch], decay))


def test_with_accumulated_gradients_the_average_counts_optimizer_steps():
    watch, network = Watch(), module()
    options = QUIET | {"max_epochs": 4, "accumulate_grad_batches": 2}
    Trainer(**options, callbacks=[AverageWeights(0.999), watch]).fit(network, Data())
    assert_close(network.net.state_dict(), moving_average(watch.trained[1::2], 0.999))


def test_training_itself_does_not_notice_the_average():
    trained = []
    for averaging in ([AverageWeights(0.9)], []):
        watch = Watch()
        Trainer(**QUIET | {"max_epochs": 3}, callbacks=[*averaging, watch]).fit(module(), Data())
        trained.append(watch.trained)
    for one, other in zip(*trained, strict=True):
        assert_same(one, other)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("averaged")
    finished = run_cut_off(run_dir, 10**9, "SIGKILL", TAUGHT)
    assert finished.returncode == 0, finished.stderr
    return run_dir


def checkpoint(run_dir, name="last"):
    return torch.load(run_dir / "checkpoints" / f"{name}.ckpt", weights_only=True)


def test_the_best_checkpoint_holds_the_average_that_was_validated_and_is_loaded(undisturbed):
    best = checkpoint(undisturbed, "best")
    net = load_net(undisturbed, "best")
    assert_same({f"net.{name}": value for name, value in net.state_dict().items()}, best["state_dict"])
    assert not torch.equal(best["state_dict"]["net.head.weight"], best["current_model_state"]["net.head.weight"])
    logged = min(float(row["val/loss"]) for row in read_history(undisturbed / "metrics.csv"))
    assert validated(undisturbed, net) == pytest.approx(logged, rel=1e-6)
    net.load_state_dict({name.removeprefix("net."): value for name, value in best["current_model_state"].items()})
    assert validated(undisturbed, net) != pytest.approx(logged, rel=5e-5), "the weights score alike: nothing is shown"


def validated(run_dir, net):
    """Loss of a network on a run's validation scans, batch by batch as training has it."""
    from retseg.build import build_data, load_config

    scans = build_data(load_config(run_dir)).val_dataset
    batch = collate([scans[index] for index in range(len(scans))])
    with torch.no_grad():
        return CrossEntropyDice()(net(batch["image"]), batch["mask"]).item()


@pytest.mark.parametrize(
    ("signal_name", "code"), [pytest.param("SIGKILL", -9, marks=pytest.mark.slow), ("SIGTERM", 143)]
)
def test_cut_off_in_mid_epoch_and_resumed_has_the_same_average(train, undisturbed, tmp_path, signal_name, code):
    assert run_cut_off(tmp_path, 7, signal_name, TAUGHT).returncode == code
    train("", f"resume={tmp_path}", "callbacks.cut.step=1000000000", tiny=())
    for name in ("last", "best"):
        resumed, whole = checkpoint(tmp_path, name), checkpoint(undisturbed, name)
        for part in ("state_dict", "current_model_state", "averaging_state"):
            assert_same(resumed[part], whole[part])


class SaveValidated(Callback):
    """Leaves what each process validates in the run folder."""

    def on_validation_epoch_start(self, trainer, pl_module):
        torch.save(pl_module.state_dict(), Path(trainer.default_root_dir) / f"validated_{trainer.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_validate_the_very_average_that_is_kept(tmp_path):
    """The batches of the two differ, and with them BatchNorm's statistics."""
    options = ("trainer.accelerator=cpu", "trainer.devices=2", "trainer.strategy=ddp", "callbacks.gradcam=null")
    watch = "+callbacks.watch={_target_: tests.training.callbacks.test_averaging.SaveValidated}"
    finished = run_cut_off(tmp_path, 10**9, "SIGKILL", (*EMA, *options, watch))
    assert finished.returncode == 0, finished.stderr
    for rank in (0, 1):
        assert_same(torch.load(tmp_path / f"validated_{rank}.pt"), checkpoint(tmp_path)["state_dict"])


def test_refuses_to_stand_behind_what_saves_in_mid_epoch(tmp_path):
    trainer = Trainer(**QUIET, callbacks=[SaveOnInterrupt(str(tmp_path)), AverageWeights()])
    with pytest.raises(InputError, match="averaging stands behind interrupt; use callbacks=ema"):
        trainer.fit(module(), Data())


def test_refuses_a_decay_outside_0_to_1():
    with pytest.raises(InputError, match=r"callbacks.averaging.decay: 1, expected a number between 0 and 1"):
        AverageWeights(1)
