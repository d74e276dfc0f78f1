"""Every loss that conf/ offers is built and says something of a batch."""

import pytest
import torch

from retseg.anatomy import NUM_CLASSES
from retseg.build import make
from retseg.commands.config_folder import CONF, compose_config
from retseg.losses import JointLoss
from tests.losses.test_joint import Given

CHOICES = sorted(path.stem for path in (CONF / "loss").glob("*.yaml"))


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_falls_as_the_network_gets_it_right(choice):
    loss = make(compose_config([f"loss={choice}", "paths.run_dir=unused"]).loss, "loss")
    mask = torch.arange(24).div(2, rounding_mode="floor").clamp(max=8).remainder(8).view(1, -1, 1).repeat(2, 1, 5)
    batch = {"mask": mask, "fluid": (mask == 5).long(), "surface_rows": torch.full((2, 8, 5), 7.0)}
    values = []
    for sure in (1.0, 9.0):
        logits = sure * torch.nn.functional.one_hot(mask, NUM_CLASSES).movedim(-1, 1).float()
        fluid = sure * (2 * batch["fluid"] - 1.0)
        given = Given(logits, torch.full((2, 8, 5), 17 - sure), fluid)
        if hasattr(loss, "check"):
            loss.check(NUM_CLASSES)
        values.append((loss.joint(given, batch) if isinstance(loss, JointLoss) else loss(logits, mask)).item())
    assert 0 <= values[1] < values[0]
