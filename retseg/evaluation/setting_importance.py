"""Which setting of a grid of jobs matters: the variance of a score, split exactly between settings and their pairs.

J jobs, F settings. Functional ANOVA over a full grid in which every combination was run equally often (seeds): the sums
of squares of settings, of pairs, of whatever takes three or more, and of the seeds add up to that of all jobs.
Fisher, Statistical Methods for Research Workers (1925); with noise taken off: Hays, Statistics (1963), omega squared;
intervals: Steiger, Psychological Methods 9 (2004), 164-182, doi:10.1037/1082-989X.9.2.164.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from retseg.metrics.statistics import holm

Array = npt.NDArray[Any]
OTHERS, NOISE = "three or more settings together", "seeds"


@dataclass(frozen=True)
class Importance:
    """What one setting, or a pair, does to the score.

    share: of the variance seen among the jobs; all rows add up to 1. corrected: the same without what the scatter of
    seeds alone would bring, as part of the variance of one job (omega squared), with its 95 % interval [low, high], the
    other rows taken as found. p: of the F test against the scatter of seeds; p_holm: corrected for all rows. nan: not
    known.
    """

    of: str
    share: float
    corrected: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    p_holm: float = np.nan


def grid_array(settings: Sequence[Mapping[str, str]], names: Sequence[str], scores: Array) -> Array | None:
    """Scores of J jobs as (L1, ..., LF, R): a place a combination, R seeds each; None where the grid is uneven."""
    levels = [list(dict.fromkeys(job[name] for job in settings)) for name in names]
    cells: dict[tuple[int, ...], list[float]] = {}
    for job, score in zip(settings, scores, strict=True):
        place = tuple(level.index(job[name]) for level, name in zip(levels, names, strict=True))
        cells.setdefault(place, []).append(float(score))
    shape = tuple(len(level) for level in levels)
    counts = {len(values) for values in cells.values()}
    if len(cells) != np.prod(shape) or len(counts) != 1:
        return None
    grid = np.empty((*shape, counts.pop()))
    for place, values in cells.items():
        grid[place] = values
    return grid


def grid_importance(grid: Array, names: Sequence[str]) -> list[Importance]:
    """Rows for each setting, each pair, the rest of the settings if any, and the seeds, of (L1, ..., LF, R)."""
    num_seeds, total = grid.shape[-1], float(((grid - grid.mean()) ** 2).sum())
    cells = grid.mean(axis=-1)
    effects = _effects(cells)
    squares = {places: num_seeds * cells.size / effect.size * _square(effect) for places, effect in effects.items()}
    freedom = {places: int(np.prod([cells.shape[i] - 1 for i in places])) for places in effects}
    noise = float(((grid - cells[..., None]) ** 2).sum())
    names_of = {places: " x ".join(names[i] for i in places) for places in effects}
    between = num_seeds * _square(cells - cells.mean())
    rest = max(between - sum(squares.values()), 0.0)
    if len(names) > 2:
        names_of[()], squares[()] = OTHERS, rest
        freedom[()] = cells.size - 1 - sum(freedom.values())
    noise_freedom = cells.size * (num_seeds - 1)
    rows = _tested(names_of, squares, freedom, noise, noise_freedom, total)
    return [*rows, Importance(NOISE, _share(noise, total))]


def _effects(cells: Array) -> dict[tuple[int, ...], Array]:
    """Main and pairwise effects of the means (L1, ..., LF) of combinations: what each adds to those below it."""
    axes = range(cells.ndim)
    kept: dict[tuple[int, ...], Array] = {}
    for order in (1, 2):
        for places in itertools.combinations(axes, order):
            mean = cells.mean(axis=tuple(i for i in axes if i not in places), keepdims=True) - cells.mean()
            kept[places] = mean - sum(kept[(i,)] for i in places) if order == 2 else mean
    return kept


def _square(values: Array) -> float:
    return float((values**2).sum())


def _share(part: float, total: float) -> float:
    return part / total if total > 0 else np.nan


def _tested(
    names_of: Mapping[tuple[int, ...], str],
    squares: Mapping[tuple[int, ...], float],
    freedom: Mapping[tuple[int, ...], int],
    noise: float,
    noise_freedom: int,
    total: float,
) -> list[Importance]:
    """Shares of sums of squares, and, where seeds were repeated and differ, how sure they are."""
    if noise_freedom == 0 or noise <= 1e-12 * total:
        return [Importance(name, _share(squares[places], total)) for places, name in names_of.items()]
    mean_noise = noise / noise_freedom
    num_jobs = noise_freedom + sum(freedom.values()) + 1
    sizes = {places: max(squares[places] / mean_noise - freedom[places], 0.0) for places in names_of}
    ratios = {places: squares[places] / freedom[places] / mean_noise for places in names_of}
    p_values = {places: float(stats.f.sf(ratios[places], freedom[places], noise_freedom)) for places in names_of}
    adjusted = holm(np.array(list(p_values.values())))
    rows = []
    for (places, name), p_holm in zip(names_of.items(), adjusted, strict=True):
        others = sum(sizes.values()) - sizes[places] + num_jobs
        low, high = _sizes_that_fit(ratios[places], freedom[places], noise_freedom)
        corrected, low, high = (size / (size + others) for size in (sizes[places], low, high))
        tested = (p_values[places], float(p_holm))
        rows.append(Importance(name, _share(squares[places], total), corrected, low, high, *tested))
    return rows


def _sizes_that_fit(ratio: float, freedom: int, noise_freedom: int) -> tuple[float, float]:
    """95 % interval of the noncentrality of an F ratio: the sizes of an effect under which it is no surprise."""

    def size_at(probability: float) -> float:
        def excess(size: float) -> float:
            return float(stats.ncf.cdf(ratio, freedom, noise_freedom, size)) - probability

        if stats.f.cdf(ratio, freedom, noise_freedom) <= probability:
            return 0.0
        upper = 10.0 + 2 * ratio * freedom
        while excess(upper) > 0:
            upper *= 2
        return float(optimize.brentq(excess, 1e-9, upper))

    return size_at(0.975), size_at(0.025)
