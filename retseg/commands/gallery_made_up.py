"""Values made up for the figures of the gallery that need many trainings: plausible, seeded, and called made up."""

from typing import TYPE_CHECKING

import numpy as np

from retseg.anatomy import LAYER_NAMES
from retseg.commands.compare_sweep import GRID
from retseg.evaluation.setting_importance import grid_array, grid_importance
from retseg.figures.explanations import HitRate, hit_rates
from retseg.figures.reproduction import table_picture
from retseg.figures.sweep_settings import parallel_settings, setting_importance
from retseg.figures.sweeps import DifferenceBar, differences, paired_subjects
from retseg.reproduction.paper_values import PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORDS = "Values made up for this gallery: they are no result."
DICE = "mean Dice of the layers"
NUM_EPOCHS, NUM_SUBJECTS = 30, 6


def history() -> list[dict[str, str]]:
    """Rows of a metrics.csv of 30 epochs."""
    rng = np.random.default_rng(0)
    rows = []
    for epoch in range(NUM_EPOCHS):
        learned = 1 - np.exp(-(epoch + 1) / 6)
        values: dict[str, float] = {"epoch": epoch, "lr": 1e-3 * (1 - epoch / NUM_EPOCHS)}
        for stage, best in (("train", 0.97), ("val", 0.94)):
            dice = best * learned + rng.normal(0, 0.005)
            values |= {f"{stage}/accuracy": 0.5 + dice / 2, f"{stage}/loss": 2.4 * (1 - dice)}
            values |= {f"{stage}/dice_micro_soft": dice, f"{stage}/iou_micro_soft": dice / (2 - dice)}
        for place, layer in enumerate(LAYER_NAMES):
            final = 0.92 - 0.035 * ((3 * place) % 7)
            values[f"val_class/dice/{layer}"] = final * learned ** (1 + place / 5) + rng.normal(0, 0.004)
        rows.append({name: str(value) for name, value in values.items()})
    return rows


def planted_evidence() -> "Figure":
    """Hit rates of three methods and a baseline at two layers."""
    rates = []
    for layer, shift in (("conv2d_19", 0.0), ("conv2d_11", 0.3)):
        rates += [
            HitRate(method, layer, rate + shift, rate + shift - 0.04, rate + shift + 0.12, 0.04, method == "edge")
            for method, rate in (("gradcam", 0.05), ("hirescam", 0.2), ("occlusion", 0.5), ("edge", 0.12))
        ]  # fmt: skip
    rates.append(HitRate("gradcam", "softmax", np.nan, np.nan, np.nan))
    return hit_rates(rates, f"Intervals: 95 % bootstrap over subjects. {WORDS}")


def leakage() -> "Figure":
    """Two arms, subject by subject."""
    rng = np.random.default_rng(1)
    apart = rng.uniform(0.82, 0.9, NUM_SUBJECTS)
    leaky = apart + rng.uniform(0, 0.02, NUM_SUBJECTS)
    subjects = [f"s{number:02d}" for number in range(1, NUM_SUBJECTS + 1)]
    caption = f"A subject's score: mean over its held-out scans. {WORDS}"
    return paired_subjects(subjects, apart.tolist(), leaky.tolist(), ("subjects apart", "random images"), DICE, caption)


def ablation() -> "Figure":
    """Differences of variants to a baseline."""
    found = {"augmented": (0.012, 0.03), "class_weights": (0.006, 0.8), "no_norm": (-0.05, 0.02), "dilated": (0.0, 1.0)}
    bars = [
        DifferenceBar(name, change, change - 0.01, change + 0.01, f"{change:+.3f}, p {p:g}")
        for name, (change, p) in found.items()
    ]  # fmt: skip
    caption = f"At the right: the difference, and p of the exact paired test by subject, corrected after Holm. {WORDS}"
    return differences(bars, DICE, "baseline", caption)


def _sweep() -> tuple[list[dict[str, str]], list[float]]:
    """Settings and scores of 3 x 2 x 3 jobs, the last setting being the seed."""
    rng = np.random.default_rng(2)
    rates = {"1e-4": 0.80, "1e-3": 0.87, "1e-2": 0.84}
    settings = [
        {"optimizer.lr": rate, "augmentation": name, "seed": str(seed)}
        for rate in rates for name in ("none", "strong") for seed in range(3)
    ]  # fmt: skip
    gains = {"none": 0.0, "strong": 0.02}
    scores = [rates[job["optimizer.lr"]] + gains[job["augmentation"]] + rng.normal(0, 0.006) for job in settings]
    return settings, scores


def sweep_settings() -> "Figure":
    """Jobs of a sweep by their settings, one of them failed."""
    settings, scores = _sweep()
    return parallel_settings(settings, list(settings[0]), [*scores[:-1], None], DICE, WORDS)


def sweep_importance() -> "Figure":
    """What each setting of that sweep explains."""
    settings, scores = _sweep()
    names = ["optimizer.lr", "augmentation"]
    grid = grid_array(settings, names, np.array(scores))
    assert grid is not None
    return setting_importance(grid_importance(grid, names), DICE, GRID, WORDS)


def paper_table() -> "Figure":
    """The paper's Table 1 beside a run that never was."""
    rows = [
        ("accuracy", *(f"{value:.4f}" for value in PAPER.accuracy), "0.9610", "0.9402"),
        ("Dice, micro soft", *(f"{value:.4f}" for value in PAPER.dice), "0.9520", "0.9214"),
        ("Dice, mean of 7 layers (hard)", "not given", "not given", "0.8731", "0.8425"),
    ]
    columns = ("score", "paper, training", "paper, validation", "this run, training", "this run, validation")
    notes = ["Dice, micro soft: over all pixels and classes, the mean probability of the true class.", WORDS]
    return table_picture("Table 1. Overall scores", columns, rows, notes)
