"""Scans drawn by hand for the tests of evaluation: 7 rows, 5 columns, two layers and what lies around them."""

import numpy as np

from retseg.anatomy import IGNORE
from retseg.bscan import Spacing
from retseg.evaluation.case import Case
from retseg.evaluation.labelling import Labelling

TRUTH = np.array(
    [
        [0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1],
        [7, 7, 7, 7, 7],
        [7, 7, 7, 7, 7],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ],
    np.int8,
)
"""NFL in rows 1 and 2, OS-RPE in rows 3 and 4: ILM at row 1, BM at row 5, all other surfaces at row 3."""

ONE_DEEPER = np.roll(TRUTH, 1, axis=0)
"""Everything one pixel too deep."""


def case(
    prediction=TRUTH,
    truth=TRUTH,
    second=None,
    *,
    name="s01_b00_g1",
    subject="s01",
    spacing=None,
    image=None,
    network=None,
    fluid=None,
):
    """A case of hand-drawn masks."""
    return Case(
        name=name,
        subject=subject,
        prediction=Labelling.from_mask(np.asarray(prediction)),
        truth=Labelling.from_mask(np.asarray(truth)),
        second=None if second is None else Labelling.from_mask(np.asarray(second)),
        spacing=spacing or Spacing(4.0, 10.0, "test"),
        image=image,
        network=network,
        fluid=fluid,
    )


def noisy(rng, share=0.2, truth=TRUTH):
    """A truth in which a share of the pixels got a class at random."""
    mask = truth.copy()
    wrong = (rng.random(mask.shape) < share) & (mask != IGNORE)
    mask[wrong] = rng.integers(0, 8, wrong.sum())
    return mask
