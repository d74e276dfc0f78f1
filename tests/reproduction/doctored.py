"""Facts with one thing changed: each verdict has to notice the change that concerns it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from retseg.anatomy import CLASS_NAMES
from retseg.bscan import ScanKey
from retseg.data.splits import SubjectHoldout
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.sweeps import Sweep

Change = Callable[[RunFacts], RunFacts]


def changed(*changes: Change) -> Change:
    """All changes, one after the other."""

    def apply(facts):
        for change in changes:
            facts = change(facts)
        return facts

    return apply


def paper(**values: Any) -> Change:
    """Other printed numbers."""
    return lambda facts: replace(facts, paper=replace(facts.paper, **values))


def fields(**values: Any) -> Change:
    """Other facts; a function is given the old value."""
    return lambda facts: replace(
        facts, **{name: value(getattr(facts, name)) if callable(value) else value for name, value in values.items()}
    )


def put(field: str, place: str, value: Any) -> Change:
    """One value in a nested field, e.g. put("config", "data.size", [256, 256])."""

    def apply(facts):
        content = deepcopy(getattr(facts, field))
        node = content
        *way, last = place.split(".")
        for name in way:
            node = node[name]
        node[last] = value
        return replace(facts, **{field: content})

    return apply


def duke(origin: str = "manual") -> Change:
    """The run's data are Duke's, with labels of that origin."""
    return put("metrics", "data", {"name": "Duke DME", "label_origin": origin})


def confusion(counts: Any) -> Change:
    """Another confusion matrix on both sides."""
    counts = np.asarray(counts).tolist()
    return changed(put("metrics", "train.confusion", counts), put("metrics", "val.confusion", counts))


def table_1(accuracy: Any, dice: Any, iou: Any, loss: Any) -> Change:
    """Scores of both sides as Table 1 has them; all others gone."""
    names = ("accuracy", "dice_micro_soft", "iou_micro_soft", "loss")
    return changed(
        *(
            put(
                "metrics", f"{side}.scores", dict(zip(names, (p[at] for p in (accuracy, dice, iou, loss)), strict=True))
            )
            for at, side in enumerate(("train", "val"))
        )
    )


def class_iou(values: Any) -> Change:
    """Other IoU by class on the validation set."""

    def apply(facts):
        known = {**facts.metrics["val"]["scores"], **{f"iou/{n}": v for n, v in zip(CLASS_NAMES, values, strict=True)}}
        return replace(put("metrics", "val.scores", known)(facts), evaluation=None)

    return apply


def cam(**values: Any) -> Change:
    """Other maps; a function is given the old value."""

    def apply(facts):
        new = {name: value(getattr(facts.cam, name)) for name, value in values.items()}
        return replace(facts, cam=replace(facts.cam, **new))

    return apply


def cam_layer(name: str, **values: Any) -> Change:
    """Other maps at one layer."""

    def apply(layers):
        layer = layers[name]
        return {**layers, name: replace(layer, **{key: value(getattr(layer, key)) for key, value in values.items()})}

    return cam(layers=apply)


def one_hot(probabilities: Any) -> Any:
    """Certain probabilities (C, H, W)."""
    return (probabilities.argmax(0)[None] == np.arange(len(probabilities))[:, None, None]).astype(np.float32)


def ablation(variant: str, low: float, high: float, p: float = 0.01, origin: str = "Duke DME, silver labels") -> Change:
    """A sweep with one variant whose difference to the baseline has that interval."""
    numbers = {"difference": (low + high) / 2, "difference_low": low, "difference_high": high, "p_holm": p}

    def apply(facts):
        rows = dict(facts.ablation.rows) if facts.ablation else {}
        return replace(
            facts, ablation=Sweep("SWEEP", origin, {**rows, variant: {**numbers, "seeds": 2.0, "subjects": 10.0}})
        )

    return apply


def leakage(low: float, high: float, origin: str = "Duke DME, silver labels") -> Change:
    """A leakage sweep whose difference of mean layer Dice has that interval."""
    rows = {"dice_macro_layers": {"difference": (low + high) / 2, "low": low, "high": high}}
    return fields(leakage=Sweep("LEAKS", origin, rows))


def keys_of(num_subjects: int, num_bscans: int) -> list[ScanKey]:
    """Keys of a set of one grader."""
    return [ScanKey(1, f"s{s:02d}", b) for s in range(1, num_subjects + 1) for b in range(num_bscans)]


SUBJECTS_APART = SubjectHoldout([1, 2])(keys_of(10, 11))
"""20 % of ten subjects held out."""
