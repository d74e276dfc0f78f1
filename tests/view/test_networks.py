from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from retseg.bscan import Array, Spacing
from retseg.inference.members import members_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import ScanPredictor
from retseg.view.networks import Stopwatch, choices


def like(network: ScanNetwork, **changes: Any) -> ScanNetwork:
    return replace(network, card=replace(network.card, **changes))


def test_several_networks_answer_together_or_one_by_one(network: ScanNetwork, pictures: tuple[Array, ...]):
    other = replace(like(network, name="other"), forward=lambda images: network.forward(images.flip(3)).flip(3))
    together, first, second = choices([network, other], Stopwatch())
    assert [choice.name for choice in (together, first, second)] == ["all together", "zero_shot", "other"]
    expected = ScanPredictor(members_of([network, other])).answer(pictures[0], Spacing())
    found = together.gated.predictor.answer(pictures[0], Spacing())
    np.testing.assert_array_equal(found.rows, expected.rows)
    alone = second.gated.predictor.answer(pictures[0], Spacing())
    assert np.nanmax(np.abs(alone.rows - first.gated.predictor.answer(pictures[0], Spacing()).rows)) > 0
    assert first.intervals is not None
    assert together.intervals is None
    assert together.about_intervals.startswith("no intervals: calibrated for 1 network, 1 view, not for 2 networks")


def test_one_network_is_one_choice_and_like_names_get_numbers(network: ScanNetwork):
    assert [choice.name for choice in choices([network], Stopwatch())] == ["zero_shot"]
    names = [choice.name for choice in choices([network, network], Stopwatch())]
    assert names == ["all together", "zero_shot (1)", "zero_shot (2)"]


def test_the_stopwatch_counts_passes_alone(network: ScanNetwork, pictures: tuple[Array, ...]):
    watch = Stopwatch()
    (choice,) = choices([network], watch)
    assert watch.seconds == 0
    choice.gated.predictor.answer(pictures[0], Spacing())
    assert watch.seconds > 0


@pytest.mark.parametrize(
    ("changes", "caution"),
    [
        ({"label_origin": "manual", "data_name": "Duke DME"}, None),
        (
            {"label_origin": "exact"},
            "net: learned from made-up scans alone (random phantom); check what it finds in real ones.",
        ),
        ({"label_origin": "silver"}, "net: learned from silver labels, which no person drew; it repeats their errors."),
        (
            {"label_origin": "manual", "stamp": "leaky: 3 subjects on both sides"},
            "net: scored on a leaky split, which flatters (leaky: 3 subjects on both sides).",
        ),
        (
            {"label_origin": "manual", "reference": {}},
            "net: never calibrated; no intervals, and unknown kinds of scans are not noticed.",
        ),
    ],
)
def test_what_must_not_be_overlooked_is_said(network: ScanNetwork, changes: dict[str, Any], caution: str | None):
    (choice,) = choices([like(network, name="net", **changes)], Stopwatch())
    assert choice.cautions == (() if caution is None else (caution,))


def test_what_several_networks_share_is_said_once(network: ScanNetwork):
    silver = {"label_origin": "silver", "reference": {}}
    together = choices([like(network, name="a", **silver), like(network, name="b", **silver)], Stopwatch())[0]
    assert together.cautions == (
        "a, b: learned from silver labels, which no person drew; it repeats their errors.",
        "a, b: never calibrated; no intervals, and unknown kinds of scans are not noticed.",
    )
