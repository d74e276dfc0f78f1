"""Hits of maps on planted evidence: numbers worked by hand on rectangles, scikit-learn for the AUC."""

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from retseg.data.dataset import BScanDataset
from retseg.data.sources.phantom import PhantomSource
from retseg.data.sources.planted import SHOWN_CLASS, PlantedLineSource
from retseg.explain.baselines import pixel_noise
from retseg.explain.engine import explain
from retseg.explain.planted_hits import mean_by_subject, outside_prediction, planted_hits
from retseg.explain.score import Score


def scan(height=6, width=10):
    """Blank map and evidence (1, 1, H, W): evidence is row 4, columns 2 and 3."""
    maps, evidence = torch.zeros(1, 1, height, width), torch.zeros(1, 1, height, width, dtype=torch.bool)
    evidence[0, 0, 4, 2:4] = True
    return maps, evidence


def test_a_map_that_is_the_evidence_finds_all_of_it():
    _, evidence = scan()
    found = planted_hits(evidence.float() * 3, evidence, tolerance_px=0)
    assert found.hit.item() == found.heat_share.item() == found.auc.item() == 1
    assert found.area_share.item() == found.chance.item() == pytest.approx(2 / 60)
    assert found.lift.item() == pytest.approx(30)
    assert not found.is_blank.item()


def test_numbers_by_hand():
    """Heat 6 at (0, 9), 2 at (4, 3), 1 at (4, 4): 2 / 9 on the evidence; ranks of the two pixels 59 and 29."""
    maps, evidence = scan()
    maps[0, 0, 0, 9], maps[0, 0, 4, 3], maps[0, 0, 4, 4] = 6, 2, 1
    found = planted_hits(maps, evidence, tolerance_px=1)
    assert found.hit.item() == 0
    assert found.chance.item() == pytest.approx(3 * 4 / 60)
    assert found.heat_share.item() == pytest.approx(2 / 9)
    assert found.auc.item() == pytest.approx((59 + 29 - 3) / (2 * 58))


@pytest.mark.parametrize(("tolerance_px", "hit"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_a_peak_two_columns_beside_the_evidence_hits_from_a_tolerance_of_two(tolerance_px, hit):
    maps, evidence = scan()
    maps[0, 0, 3, 5] = 1
    assert planted_hits(maps, evidence, tolerance_px=tolerance_px).hit.item() == hit


@pytest.mark.parametrize("level", [0.0, 0.7])
def test_blank_and_uniform_maps_are_chance(level):
    maps, evidence = scan()
    found = planted_hits(maps + level, evidence, tolerance_px=1)
    assert found.hit.item() == found.chance.item() == pytest.approx(0.2)
    assert (found.lift.item(), found.auc.item()) == (pytest.approx(1), 0.5)
    assert found.is_blank.item() == (level == 0)


def test_what_is_not_counted_has_no_heat_no_area_and_no_evidence():
    maps, evidence = scan()
    maps[0, 0, 1], maps[0, 0, 4, 2] = 5, 1
    counted = torch.ones_like(evidence)
    counted[0, 0, :3] = False
    with_all, left = planted_hits(maps, evidence, tolerance_px=0), planted_hits(maps, evidence, counted, 0)
    assert (with_all.hit.item(), left.hit.item()) == (0, 1)
    assert left.heat_share.item() == 1
    assert left.area_share.item() == pytest.approx(2 / 30)
    assert left.auc.item() == pytest.approx((28 + 0.5 * 28) / 56)
    counted[0, 0, 4] = False
    assert planted_hits(maps, evidence, counted, 0).hit.isnan().item()


def test_a_map_that_prints_the_segmentation_is_blank_outside_it():
    probabilities = torch.rand(2, 3, 6, 10, generator=torch.Generator().manual_seed(0)).softmax(1)
    outside = outside_prediction(probabilities)
    assert torch.equal((~outside).sum(1), torch.ones(2, 6, 10, dtype=torch.long))
    printed = (~outside).float()
    evidence = torch.zeros(2, 3, 6, 10, dtype=torch.bool)
    evidence[:, :, 2, 1:7] = True
    found = planted_hits(printed, evidence, outside)
    assert found.is_blank.all()
    assert torch.equal(found.hit, found.chance)


def test_each_scan_and_class_is_judged_by_itself_and_no_evidence_is_nan():
    generator = torch.Generator().manual_seed(0)
    maps, evidence = torch.rand(2, 3, 6, 10, generator=generator), torch.zeros(2, 3, 6, 10, dtype=torch.bool)
    evidence[0, 1, 2:4, 3:6] = evidence[1, 2, :, 0] = True
    found = planted_hits(maps, evidence, tolerance_px=1)
    for values in (found.hit, found.chance, found.heat_share, found.area_share, found.auc, found.lift):
        assert values.shape == (2, 3)
        assert (~values.isnan()).tolist() == [[False, True, False], [False, False, True]]
    alone = planted_hits(maps[1:, 2:], evidence[1:, 2:], tolerance_px=1)
    assert alone.auc.item() == found.auc[1, 2].item()
    assert alone.heat_share.item() == pytest.approx(found.heat_share[1, 2].item())


def test_auc_is_scikit_learns_with_ties():
    generator = torch.Generator().manual_seed(1)
    maps = torch.randint(0, 5, (3, 2, 7, 9), generator=generator).float()
    evidence = torch.rand(3, 2, 7, 9, generator=generator) < 0.2
    found = planted_hits(maps, evidence)
    for n in range(3):
        for c in range(2):
            expected = roc_auc_score(evidence[n, c].flatten(), maps[n, c].flatten())
            assert found.auc[n, c].item() == pytest.approx(expected)


def test_random_maps_hit_by_chance():
    evidence = torch.zeros(2000, 1, 6, 10, dtype=torch.bool)
    evidence[:, :, 4, 2:4] = True
    found = planted_hits(pixel_noise(tuple(evidence.shape)), evidence, tolerance_px=1)
    assert found.hit.mean().item() == pytest.approx(0.2, abs=4 * np.sqrt(0.2 * 0.8 / 2000))
    assert found.lift.mean().item() == pytest.approx(1, abs=0.06)


def test_a_mean_by_subject_draws_subjects_and_leaves_out_what_is_unknown():
    found = mean_by_subject([1, 1, 0, np.nan], ["a", "a", "b", "c"])
    assert (found.mean, found.num_scans, found.num_subjects) == (pytest.approx(2 / 3), 3, 2)
    assert (found.low, found.high) == (0, 1)
    alone = mean_by_subject([1, 0], ["a", "a"])
    assert (alone.mean, alone.num_subjects) == (0.5, 1)
    assert np.isnan([alone.low, alone.high]).all()
    assert np.isnan(mean_by_subject([np.nan], ["a"]).mean)


class LooksBelow(torch.nn.Module):
    """A network whose evidence is known: ISE is what has bright pixels 9 to 16 rows below, and nothing else counts."""

    def __init__(self):
        super().__init__()
        self.bright = torch.nn.Conv2d(1, 1, 1)
        self.below = torch.nn.Conv2d(1, 8, (33, 1), padding=(16, 0), bias=False)
        with torch.no_grad():
            self.bright.weight.fill_(1)
            self.bright.bias.fill_(-0.45)
            self.below.weight.zero_()
            self.below.weight[SHOWN_CLASS, 0, 16 + 9 :] = 1

    def forward(self, image):
        return self.below(torch.relu(self.bright(image)))


def test_hirescam_finds_what_a_known_network_looks_at_and_gradcam_does_not():
    """Grad-CAM averages the gradient over the scan, so every bright pixel is hot: it cannot say which one counts."""
    source = PlantedLineSource(PhantomSource(num_subjects=4, bscans_per_subject=2, height=108, width=60), 9, 2)
    dataset = BScanDataset(source, source.keys)
    found = {"gradcam": [], "hirescam": []}
    for index, key in enumerate(source.keys):
        image, mask = dataset[index]["image"][None], dataset[index]["mask"][None]
        evidence = torch.from_numpy(source.evidence(key, SHOWN_CLASS))[None, None]
        maps = explain(LooksBelow(), image, ["bright"], list(found), Score(of="logit", over=mask == SHOWN_CLASS)).maps
        for method, values in found.items():
            heat = maps[method, "bright"].on_image((108, 60))[:, [SHOWN_CLASS]]
            values.append(planted_hits(heat, evidence, tolerance_px=0))
    share = {method: [one.heat_share.item() for one in values] for method, values in found.items()}
    assert min(share["hirescam"]) > 0.8
    assert max(share["gradcam"]) < 0.3
    assert [one.hit.item() for one in found["hirescam"]] == [1.0] * 8
    assert [one.hit.item() for one in found["gradcam"]] == [0.0] * 8
