"""Pictures of the settings of a sweep: each job as a line through its settings to its score, and what each explains."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from retseg.evaluation.setting_importance import Importance
from retseg.figures.captions import describe
from retseg.figures.palette import MARK, NOT_KNOWN, SCORE, WARNING

_LOG_RATIO = 20
"""Numbers above 0 that span more than this ratio stand on a scale by their logarithm."""


_SPREAD = 0.06


def parallel_settings(
    settings: Sequence[Mapping[str, str]],
    names: Sequence[str],
    scores: Sequence[float | None],
    score: str,
    caption: str,
) -> Figure:
    """A line a job through its value of each setting to its score; None: it is not done, and ends at a cross below."""
    figure = Figure(figsize=(max(6.0, 2.2 * (len(names) + 1)), 4.6), layout="constrained")
    axis = figure.subplots()
    places = {name: _places([job[name] for job in settings]) for name in names}
    known = np.array([value for value in scores if value is not None])
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    span = high - low or 1.0
    colours = matplotlib.colormaps[SCORE]
    heights = [-np.inf if value is None else value for value in scores]
    order = sorted(range(len(scores)), key=heights.__getitem__)
    paths = np.array([_spread(places[name], order) for name in names]).T
    for job in order:  # the best on top
        value, path = scores[job], paths[job]
        if value is None:
            axis.plot([*range(len(names)), len(names)], [*path, -0.12], color=NOT_KNOWN, linestyle="--", linewidth=1)
            axis.plot(len(names), -0.12, marker="x", color=WARNING, markersize=7)
        else:
            height = (value - low) / span
            axis.plot([*range(len(names)), len(names)], [*path, height], color=colours(0.92 * height), linewidth=1.6)
    for place, name in enumerate(names):
        _scale(axis, place, dict(zip((job[name] for job in settings), places[name], strict=True)))
    ticks = {f"{low + share * span:.4g}": share for share in (0.0, 0.5, 1.0)} if known.size else {}
    _scale(axis, len(names), ticks)
    axis.set_xticks(range(len(names) + 1), [*names, score])
    axis.tick_params(axis="x", length=0)
    axis.set(xlim=(-0.35, len(names) + 0.45), ylim=(-0.1 if known.size == len(scores) else -0.2, 1.1), yticks=[])
    axis.spines[["left", "right", "top", "bottom"]].set_visible(False)
    told = (
        "A line a job: its value of each setting that varies, and its score at the right, which is its colour, too. "
        "Jobs with the same value are spread a little around it, the higher score above."
    )
    failed = sum(value is None for value in scores)
    crosses = f"Dashed, to a cross: {failed} job(s) without a score." if failed else ""
    return describe(figure, f"{len(settings)} jobs by their settings", told, crosses, caption)


def _scale(axis: Axes, place: int, ticks: Mapping[str, float]) -> None:
    """An upright scale with its values beside it; of many, a few."""
    axis.plot([place, place], [0, 1], color="black", linewidth=0.8)
    chosen = sorted(ticks.items(), key=lambda item: item[1])
    if len(chosen) > 8:
        chosen = [chosen[round(i)] for i in np.linspace(0, len(chosen) - 1, 5)]
    for text, height in chosen:
        axis.text(
            place + 0.04,
            height,
            _short(text),
            fontsize=8,
            va="center",
            bbox={"color": "white", "alpha": 0.85, "pad": 1, "linewidth": 0},
        )


def _short(text: str) -> str:
    try:
        return f"{float(text):.4g}"
    except ValueError:
        return text if len(text) <= 18 else f"{text[:17]}…"


def _places(values: Sequence[str]) -> list[float]:
    """Heights 0..1 of values: numbers by size (or logarithm), words evenly in order of appearance; one value: 0.5."""
    levels = list(dict.fromkeys(values))
    if len(levels) == 1:
        return [0.5] * len(values)
    try:
        numbers = np.array([float(value) for value in values])
    except ValueError:
        return [levels.index(value) / (len(levels) - 1) for value in values]
    if numbers.min() > 0 and numbers.max() / numbers.min() > _LOG_RATIO:
        numbers = np.log10(numbers)
    return [float(height) for height in (numbers - numbers.min()) / (numbers.max() - numbers.min())]


def _spread(heights: Sequence[float], order: Sequence[int]) -> list[float]:
    """Heights with those of equal value moved apart, in order, so that no line hides another."""
    levels = sorted(set(heights))
    gap = min(np.diff(levels), default=1.0)
    moved = list(heights)
    for level in levels:
        jobs = [job for job in order if heights[job] == level]
        for job, shift in zip(jobs, np.linspace(-1, 1, len(jobs)) if len(jobs) > 1 else [0.0], strict=True):
            moved[job] = level + min(_SPREAD, 0.3 * gap) * float(shift)
    return moved


def setting_importance(rows: Sequence[Importance], score: str, definition: str, caption: str) -> Figure:
    """A bar a row: the share of the score's variance that it explains, with its interval where one is known."""
    figure = Figure(figsize=(7.6, 1.2 + 0.36 * len(rows)), layout="constrained")
    axis = figure.subplots()
    for place, row in enumerate(rows):
        axis.barh(place, 100 * row.share, color=MARK, height=0.6, alpha=0.75)
        if row.low == row.low:
            axis.plot([100 * row.low, 100 * row.high], [place, place], color="black", linewidth=1.5)
            axis.plot(100 * row.corrected, place, marker="o", color="black", markersize=4)
    axis.set_yticks(range(len(rows)), [row.of for row in rows])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set(xlim=(0, 100), xlabel=f"share of the variance of {score} (%)")
    axis.grid(axis="x", color="0.9")
    axis.set_axisbelow(True)
    return describe(figure, "Which setting matters", definition, caption)
