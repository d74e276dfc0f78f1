"""The moving average teaches the pixels that nobody labelled."""

import math

import lightning as L
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.build import build_run
from retseg.commands.config_folder import compose_config
from retseg.errors import InputError
from retseg.losses import Consistency, CrossEntropyDice
from retseg.models.segnet import SegNet
from retseg.training.callbacks.averaging import AverageWeights
from retseg.training.mean_teacher import MeanTeacher
from retseg.training.module import SegmentationModule
from tests.training.callbacks.three_scans import QUIET, Data

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # lightning 2.6.6 on torch 2.15
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # three tiny scans need none
]
# One scan of 1 x 2 pixels, 2 classes: the first labelled, the second not. The teacher says 3/4 of class 1 to both.
MASK = torch.tensor([[[0, IGNORE]]])
ANSWER = torch.tensor([0.0, math.log(3)]).view(1, 2, 1, 1).expand(1, 2, 1, 2)
LOGITS = torch.tensor([[[[5.0, 0.0]], [[0.0, 0.0]]]])
UNLABELLED = 0.25 * math.log(0.25 / 0.5) + 0.75 * math.log(0.75 / 0.5)


def darkened(batch):
    return {**batch, "image": 0 * batch["image"]}


def test_only_pixels_without_a_label_are_taught_and_with_a_weight_that_rises():
    teacher = MeanTeacher(Consistency(), weight=2.0, ramp_steps=10)
    at = {step: teacher.weighted_loss(LOGITS, ANSWER, MASK, step).item() for step in (0, 5, 10, 99)}
    assert at[10] == at[99] == pytest.approx(2 * UNLABELLED, rel=1e-5)
    assert at[0] == pytest.approx(2 * UNLABELLED * math.exp(-5), rel=1e-5)
    assert at[5] == pytest.approx(2 * UNLABELLED * math.exp(-1.25), rel=1e-5)
    assert MeanTeacher(Consistency(), ramp_steps=0).weighted_loss(LOGITS, ANSWER, MASK, 0).item() > 0


def test_all_pixels_are_taught_where_asked_for():
    of_all = MeanTeacher(Consistency(), ramp_steps=0, pixels="all").weighted_loss(LOGITS, ANSWER, MASK, 0)
    p = LOGITS.log_softmax(1)[0, :, 0, 0]
    labelled = 0.25 * (math.log(0.25) - p[0].item()) + 0.75 * (math.log(0.75) - p[1].item())
    assert of_all.item() == pytest.approx((labelled + UNLABELLED) / 2, rel=1e-5)


def test_the_teacher_is_the_average_sees_what_is_not_disturbed_and_learns_nothing():
    torch.manual_seed(0)
    seen = []

    class Watch(L.Callback):
        def on_before_zero_grad(self, trainer, pl_module, optimizer):
            seen.append([p.detach().clone() for p in keeper.average.net.parameters()])

    keeper = AverageWeights(decay=0.5)
    teacher = MeanTeacher(Consistency(), darkened, ramp_steps=0, pixels="all")
    answers, answer = [], teacher.answer

    def noted(trainer, batch):
        answers.append((batch["image"].max().item(), answer(trainer, batch)))
        assert not keeper.average.training
        return answers[-1][1]

    teacher.answer = noted
    network = SegmentationModule(
        SegNet(width=2, norm="batch"), CrossEntropyDice(), lambda p: torch.optim.Adam(p, 1e-2), teacher=teacher
    )
    trainer = L.Trainer(**QUIET | {"max_epochs": 2}, callbacks=[keeper, Watch()])
    trainer.fit(network, Data())
    assert len(answers) == 4
    assert all(brightest > 0.5 for brightest, _ in answers)
    assert not any(logits.requires_grad for _, logits in answers)
    assert network.net.training
    assert trainer.callback_metrics["train/loss"] > trainer.callback_metrics["train/teacher_loss"] > 0
    assert not torch.equal(seen[0][-1], seen[-1][-1]), "the average moves"
    assert not [name for name in network.state_dict() if "teacher" in name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("teacher=mean",), r"teacher: nobody keeps an average .*; use callbacks=ema"),
        (("teacher=mean", "callbacks=ema", "teacher.weight=0"), r"teacher: weight 0, .* expected more than 0"),
        (("teacher=mean", "callbacks=ema", "teacher.ramp_steps=-1"), r"ramp_steps -1"),
        (
            ("teacher=mean", "callbacks=ema", "teacher.pixels=some"),
            r"teacher\.pixels='some': expected .*unlabelled",
        ),
    ],
)
def test_what_cannot_teach_is_refused(options, message, tmp_path):
    config = compose_config([*options, "logger=csv", f"paths.run_dir={tmp_path}"])
    with pytest.raises(InputError, match=message):
        build_run(config)
