"""All 56 claims of the paper, in its order."""

from retseg.reproduction.claim import Claim, Verdict
from retseg.reproduction.claims import data, explanation, network, outlook, results, training
from retseg.reproduction.run_facts import RunFacts

CLAIMS: tuple[Claim, ...] = (
    *(data.p1, data.p2, data.p3, data.p4, data.p5, data.p6, data.p7, data.p8, data.p9, data.p10, data.p11),
    *(network.p12, network.p13, network.p14, network.p15, network.p16, network.p17, network.p18),
    *(network.p19, network.p20, network.p21, network.p22, network.p23),
    *(training.p24, training.p25, training.p26, training.p27, training.p28, training.p29, training.p30),
    *(training.p31, training.p32, training.p33, training.p34, training.p35, training.p36),
    *(results.p37, results.p38, results.p39, results.p40, results.p41, results.p42),
    *(explanation.p43, explanation.p44, explanation.p45, explanation.p46, explanation.p47),
    *(explanation.p48, explanation.p49, explanation.p50, explanation.p51, explanation.p52),
    *(outlook.p53, outlook.p54, outlook.p55, outlook.p56),
)

PARTS = (
    ("Data", data),
    ("Network", network),
    ("Loss, scores, training", training),
    ("Results", results),
    ("Grad-CAM", explanation),
    ("Claims and outlook", outlook),
)


def judge_all(facts: RunFacts) -> list[Verdict]:
    """A verdict on every claim, in order."""
    return [claim.verdict(facts) for claim in CLAIMS]
