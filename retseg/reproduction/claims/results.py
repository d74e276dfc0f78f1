"""What sections 4.1 to 4.3 report: P37 to P42."""

import numpy as np
from scipy.stats import spearmanr

from retseg.metrics.misclassification import neighbour_confusion, over_and_under
from retseg.reproduction.arithmetic import largest_gap
from retseg.reproduction.claim import Finding, Outcome, claim, held, held_on_duke, lacking, numbers
from retseg.reproduction.run_facts import RunFacts

TABLE_1 = ("accuracy", "dice_micro_soft", "iou_micro_soft", "loss")
NEAR_PX = 2


@claim("P37", "4.1, Table 1", "Overall scores")
def p37(facts: RunFacts) -> Finding:
    """Accuracy .9577/.9577, Dice .9445/.9446, IoU .8948/.8951, loss .1359/.1354 (training/validation)."""
    paper = facts.paper
    printed = (paper.accuracy, paper.dice, paper.iou, paper.loss)
    ours = [(facts.score("train", name) or 0.0, facts.score("val", name) or 0.0) for name in TABLE_1]
    words = [f"{name} {train:.4f}/{val:.4f}" for name, (train, val) in zip(TABLE_1, ours, strict=True)]
    gap = largest_gap(printed)
    measured = f"{', '.join(words)}; largest gap between the sets {largest_gap(ours):.4f}, in the paper {gap:.4f}"
    agree = all(abs(a - b) <= 0.01 for p, o in zip(printed, ours, strict=True) for a, b in zip(p, o, strict=True))
    why = ""
    if gap <= 0.001:
        why = "The paper's two columns agree within .001: a sign of a leak, and P10 shows it."
    return held_on_duke(facts, agree, measured, "each within .01", why)


@claim("P38", "4.2, Figure 4", "Predictions")
def p38(facts: RunFacts) -> Finding:
    """Three predictions follow the true layers, with small deviations where contrast is low."""
    if facts.scans is None:
        return lacking(facts, "scans")
    shares = [
        float((picture.prediction != picture.truth)[picture.truth >= 0].mean()) for picture in facts.scans.predicted
    ]
    words = ", ".join(f"{p.name} {s:.1%}" for p, s in zip(facts.scans.predicted, shares, strict=True))
    measured = f"Figure 4 below; wrong pixels: {words}"
    return held_on_duke(facts, max(shares) < 0.1, measured, "below 10 % of the pixels in each")


@claim("P39", "4.2", "Where it goes wrong")
def p39(facts: RunFacts) -> Finding:
    """Errors are border ambiguity, over-segmentation, and under-segmentation of rare classes; none is counted."""
    found = (facts.evaluation or {}).get("misclassification", {})
    counts = np.array(found.get("confusion", facts.metrics["val"]["confusion"]))
    wrong = neighbour_confusion(counts)["all"]
    over, under = over_and_under(counts)
    rank = float(spearmanr(counts.sum(axis=1), under, nan_policy="omit").statistic)
    near = _share_near_a_border(facts)
    border = "" if near is None else f"{near:.0%} lie within {NEAR_PX} px of a surface; "
    measured = (
        f"of {wrong['num_wrong']:,} wrong pixels {border}"
        f"{wrong['above'] + wrong['below']:.0%} went to a class next in "
        f"depth; too many by class {numbers(over.tolist())}, missed {numbers(under.tolist())}; rank correlation "
        f"of class size and share missed {rank:.2f}"
    )
    tolerance = f"most within {NEAR_PX} px, or beside in depth; rank correlation below 0"
    is_so = (wrong["above"] + wrong["below"] if near is None else near) > 0.5 and rank < 0
    return held_on_duke(facts, is_so, measured, tolerance, command=f"retseg evaluate {facts.folder}")


@claim("P40", "4.3, Table 2", "Scores by class")
def p40(facts: RunFacts) -> Finding:
    """Table 2; classes 2, 5 and 6 exceed an IoU of .85, classes 3 and 4 are hardest."""
    paper = facts.paper
    below = [c for c in paper.strong_classes if paper.class_iou[c] <= paper.strong_iou]
    definition = "pooled over pixels" if facts.evaluation is None else "mean over scans, absent 0"
    measured = (
        f"this run: IoU ({definition}) {numbers(facts.class_iou())}; recall {numbers(facts.class_recall(), 3)}; "
        f"the paper's IoU {numbers(paper.class_iou)}"
    )
    command = f"retseg evaluate {facts.folder}"
    if below:
        said = ", ".join(f"class {c} has {paper.class_iou[c]:.2f}" for c in below)
        scores = facts.why_unsettled or "see Table 2 below"
        why = f"{said} in Table 2, not above {paper.strong_iou}. Its scores: {scores}."
        return Finding(Outcome.CONTRADICTED, measured, "text against Table 2", why, command)
    return held_on_duke(facts, _table_2_agrees(facts), measured, "each IoU within .03", "", command)


@claim("P41", "4.3, Figure 5", "Scores by class, drawn")
def p41(facts: RunFacts) -> Finding:
    """Table 2 as a heat map of IoU and bars of accuracy."""
    gaps = [
        abs(ours - theirs)
        for ours, theirs in zip(facts.class_iou(), facts.paper.class_iou, strict=True)
        if ours is not None
    ]
    measured = (
        f"Figure 5 below; IoU differs from the paper's by {max(gaps):.2f} at most, {np.mean(gaps):.2f} on average"
    )
    command = f"retseg evaluate {facts.folder}"
    return held_on_duke(facts, _table_2_agrees(facts), measured, "each IoU within .03", "", command)


@claim("P42", "code", "Precision-recall curves")
def p42(facts: RunFacts) -> Finding:
    """The authors' code, not the paper, draws precision against recall per class from hard labels."""
    if facts.cam is None:
        return lacking(facts, "gradcam")
    probabilities = facts.cam.probabilities
    hard = probabilities.argmax(axis=0)[None] == np.arange(len(probabilities))[:, None, None]
    values = [len(np.unique(plane)) for plane in hard]
    soft = [len(np.unique(plane)) for plane in probabilities]
    measured = f"{facts.cam.scan}: hard labels take {max(values)} values a class, probabilities {min(soft):,} or more"
    if facts.paper.precision_recall_from_hard_labels and max(values) <= 2:
        why = "Two values allow one threshold: one point a class, no curve. Probabilities would give one."
        return Finding(Outcome.CONTRADICTED, measured, "more than two values make a curve", why)
    return held(min(soft) > 2, measured, "more than two values make a curve")


def _table_2_agrees(facts: RunFacts) -> bool:
    pairs = zip(facts.class_iou(), facts.paper.class_iou, strict=True)
    return all(ours is not None and abs(ours - theirs) <= 0.03 for ours, theirs in pairs)


def _share_near_a_border(facts: RunFacts) -> float | None:
    """Share of the wrong pixels that lie within NEAR_PX of a true surface, from evaluation/metrics.json."""
    rows = (facts.evaluation or {}).get("misclassification", {}).get("by_distance")
    if not rows:
        return None
    wrong = [row["wrong"] for row in rows]
    near = [row["wrong"] for row in rows if row["to_px"] is not None and row["to_px"] <= NEAR_PX]
    return sum(near) / sum(wrong) if sum(wrong) else None
