"""The arithmetic on the page is done with the printed numbers, not copied."""

from dataclasses import replace

from retseg.reproduction.checklist import CLAIMS
from retseg.reproduction.paper_values import PAPER
from retseg.reproduction.worked import worked_steps


def lines_of(paper, title):
    return next(step for step in worked_steps(paper) if step.title.startswith(title)).lines


def test_lines_say_what_a_hand_would():
    assert lines_of(PAPER, "Two readings")[0] == "eq. 3: 0.1354 = 1 x CE + 0.5 x (1 - 0.9446), so CE = 0.1077"
    assert lines_of(PAPER, "Two readings")[1].endswith("CE = 0.2154")
    assert lines_of(PAPER, "IoU from")[1] == "0.9446 / (2 - 0.9446) = 0.8950; printed 0.8951"
    assert lines_of(PAPER, "Micro")[0] == "8 classes of Table 2: mean IoU 0.820, mean Dice 2I/(1+I) 0.898"
    assert lines_of(PAPER, "21 convolutions, 32,153,864")[1].endswith("= 32,153,864")
    assert lines_of(PAPER, "Classes 2, 5")[2] == "class 6: 0.82 is not above 0.85"
    assert lines_of(PAPER, "The alphas")[1].startswith("sum -1.74e-04")
    assert lines_of(PAPER, "Mean intensities")[0].endswith("= 1.000")


def test_other_printed_numbers_give_other_lines():
    other = replace(PAPER, loss=(0.2, 0.3), dice=(0.9, 0.8))
    assert lines_of(other, "Two readings")[0].endswith("CE = 0.2000")
    assert lines_of(other, "IoU from")[1].startswith("0.8000 / (2 - 0.8000) = 0.6667")


def test_every_step_bears_on_claims_that_exist():
    ids = {claim.id for claim in CLAIMS}
    assert all(step.claims and set(step.claims) <= ids for step in worked_steps(PAPER))
