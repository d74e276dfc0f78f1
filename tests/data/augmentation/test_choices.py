"""Every augmentation that conf/ offers changes batches, and what they keep fits together."""

import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.build import make
from retseg.commands.config_folder import CONF, compose_config
from tests.data.augmentation.scans import layered

CHOICES = sorted({path.stem for path in (CONF / "augmentation").glob("*.yaml")} - {"none"})
GEOMETRY = {"flip_shift_gain", "geometry", "strong"}


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_changes_images_and_moves_labels_if_it_says_so(choice):
    torch.manual_seed(0)
    batch = layered()
    changed = make(compose_config([f"augmentation={choice}", "paths.run_dir=unused"]).augmentation, "augmentation")(
        batch
    )
    assert not torch.equal(changed["image"], batch["image"])
    assert changed["image"].min() >= 0
    assert changed["image"].max() <= 1
    for name in ("mask", "surface_rows", "fluid"):
        assert torch.equal(changed[name], batch[name]) == (choice not in GEOMETRY)
    is_known = (changed["mask"] != IGNORE) & (changed["fluid"] != IGNORE)
    assert torch.equal(changed["fluid"][is_known], (changed["mask"] == 5).long()[is_known])
