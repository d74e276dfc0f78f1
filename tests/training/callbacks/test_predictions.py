from pathlib import Path

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from retseg.training.callbacks import predictions
from retseg.training.callbacks.predictions import LogPredictions


class TrainerStub:
    """The little of a Trainer that the callback asks for."""

    def __init__(self, folder: Path, epoch: int, fn=TrainerFn.FITTING, sanity_checking=False):
        self.current_epoch, self.max_epochs, self.sanity_checking = epoch, 7, sanity_checking
        self.is_global_zero, self.loggers, self.global_step = True, [], 0
        self.default_root_dir = str(folder)
        self.state = type("State", (), {"fn": fn})
        item = {"name": "s01", "image": torch.full((1, 4, 6), 0.2), "mask": torch.zeros(4, 6, dtype=torch.int64)}
        self.datamodule = type("Data", (), {"val_dataset": [item]})


class ModuleStub:
    device = "cpu"

    def __call__(self, image):
        """Class 3 everywhere."""
        return (
            torch.nn.functional.one_hot(torch.full(image.shape[::2], 3), 8)
            .movedim(-1, 1)[..., None]
            .expand(-1, -1, -1, 6)
        )


@pytest.mark.parametrize(
    ("epoch", "settings", "drawn"),
    [
        (4, {}, True),  # the fifth
        (3, {}, False),
        (6, {}, True),  # the last
        (4, {"sanity_checking": True}, False),
        (3, {"fn": TrainerFn.VALIDATING}, True),
    ],
)
def test_draws_every_n_epochs_at_the_last_and_under_validate(tmp_path, epoch, settings, drawn):
    LogPredictions(scans=1, every_n_epochs=5).on_validation_end(TrainerStub(tmp_path, epoch, **settings), ModuleStub())
    assert (tmp_path / "figures" / "predictions.png").exists() == drawn
    assert (tmp_path / "figures" / "predictions.pdf").exists() == drawn


def test_masks_go_out_with_an_image_that_is_not_black(tmp_path, monkeypatch):
    sent = []
    monkeypatch.setattr(predictions, "log_masks", lambda trainer, *what: sent.append(what))
    LogPredictions(scans=1).on_validation_end(TrainerStub(tmp_path, 6), ModuleStub())
    ((key, image, masks, class_names),) = sent
    assert key == "scans/s01"
    assert image.dtype == "uint8"
    assert (image == 51).all()
    assert (masks["prediction"] == 3).all()
    assert (masks["truth"] == 0).all()
    assert class_names[3] == "INL"
