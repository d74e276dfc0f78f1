"""Pictures of how far explanations can be believed: verdicts, curves of faithfulness, randomisation, planted evidence.

T steps of a curve or of a cascade. Intervals are over subjects; who draws them says so in the caption.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import PercentFormatter

from retseg.figures.captions import describe
from retseg.figures.palette import LINES, WARNING

Array = npt.NDArray[Any]
Tone = Literal["good", "partly", "bad", "unknown"]

# Dashes where colours come round again.
_GRAYS = (("0.35", "--"), ("0.5", ":"), ("0.62", "-."), ("0.3", (0, (1, 3))), ("0.75", "--"))
_TONES: dict[Tone, tuple[str, str]] = {
    "good": ("#9cc9e3", "speaks for the map"),
    "partly": ("#f5dfa8", "in part"),
    "bad": ("#eda67c", "speaks against the map"),
    "unknown": ("#f2f2f2", "not measured"),
}
_QUESTIONS = (
    ("faithful", "faithful beyond\nthe baselines?"),
    ("sane", "passes the\nsanity checks?"),
    ("redundant", "repeats the\nprediction?"),
)


@dataclass(frozen=True, slots=True)
class Mark:
    """One answer of a verdict table: a few words or a number, and what that says of the map."""

    text: str
    tone: Tone


NOT_MEASURED = Mark("-", "unknown")


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What was found for one method at one layer of the network."""

    method: str
    layer: str
    faithful: Mark = NOT_MEASURED
    sane: Mark = NOT_MEASURED
    redundant: Mark = NOT_MEASURED


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """One line (T,) with its interval (T,), low to high; of a baseline or control, which is drawn in gray, or not."""

    name: str
    mean: Array
    low: Array
    high: Array
    is_baseline: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class CurvePanel:
    """Curves of one perturbation over shares (T,) of the scan, 0 to 1; keeps_hottest: insertion, where more is better.

    title names the perturbation, quantity what is measured ("Dice of the layer"); higher_is_better says which way a
    faithful map goes in this panel.
    """

    title: str
    shares: Array
    curves: Sequence[Band]
    quantity: str
    keeps_hottest: bool
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class HitRate:
    """Share of scans in which a map found the planted evidence, its interval, and what chance gives (nan: unknown)."""

    method: str
    layer: str
    rate: float
    low: float
    high: float
    chance: float = np.nan
    is_baseline: bool = False


def verdict_table(rows: Sequence[VerdictRow], caption: str = "") -> Figure:
    """Three grids of layers by methods, one a question; layers and methods in the order of their first appearance."""
    methods = list(dict.fromkeys(row.method for row in rows))
    layers = list(dict.fromkeys(row.layer for row in rows))
    cell_in = (max(0.85, 0.085 * max((len(mark.text) for row in rows for mark in _marks(row)), default=0)), 0.36)
    name_in = 0.4 + 0.085 * max(map(len, layers))
    width_in = max(7.5, name_in + len(_QUESTIONS) * (len(methods) * cell_in[0] + 0.3))
    figure = Figure(figsize=(width_in, 1.6 + len(layers) * cell_in[1]), layout="constrained")
    axes = figure.subplots(1, len(_QUESTIONS), sharey=True, squeeze=False)[0]
    for axis, (field, question) in zip(axes, _QUESTIONS, strict=True):
        axis.set_title(question, fontsize=10.5)
        axis.set_xticks(range(len(methods)), methods, rotation=35, ha="right", rotation_mode="anchor", fontsize=9)
        axis.set_yticks(range(len(layers)), layers, fontsize=9)
        axis.set(xlim=(-0.5, len(methods) - 0.5), ylim=(len(layers) - 0.5, -0.5))
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        marks = {(row.layer, row.method): getattr(row, field) for row in rows}
        for (y, layer), (x, method) in ((a, b) for a in enumerate(layers) for b in enumerate(methods)):
            _draw_mark(axis, x, y, marks.get((layer, method), NOT_MEASURED))
    entries = [Patch(facecolor=colour, label=words) for colour, words in _TONES.values()]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), fontsize=9, frameon=False)
    definitions = (
        "Columns: methods; rows: layers of the network. Cells say it in words, too; -: not measured; ?: cannot be "
        "told, as by intervals of too few subjects."
    )
    return describe(figure, "How far the maps can be believed", definitions, caption)


def curves(panels: Sequence[CurvePanel], caption: str = "") -> Figure:
    """Deletion, insertion and ROAD curves side by side, each map's mean and interval; baselines in gray."""
    width_in = 4.3 * len(panels)
    figure = Figure(figsize=(width_in, 3.7), layout="constrained")
    for axis, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        percent = 100 * np.asarray(panel.shares)
        _draw_bands(axis, percent, panel.curves)
        verb = "kept" if panel.keeps_hottest else "removed"
        better = "higher" if panel.higher_is_better else "lower"
        axis.set_title(f"{panel.title}\n({better} is more faithful)", fontsize=10.5)
        axis.set(xlabel=f"hottest pixels {verb} (% of the scan)", ylabel=panel.quantity)
        axis.set_xlim(percent[0], percent[-1])
        axis.set_ylim(bottom=0)
        axis.grid(color="0.92")
    _name_lines(figure, [band for panel in panels for band in panel.curves])
    definitions = (
        "Lines: mean over subjects; bands: its interval. Gray: baselines, which a map has to beat to be of use."
    )
    return describe(figure, "Does the network need what the maps show?", definitions, caption)


def similarity_steps(
    steps: Sequence[str], lines: Sequence[Band], measure: str, bound: float | None = None, caption: str = ""
) -> Figure:
    """Likeness (T + 1,) of maps to the trained network's, before and after each of T steps from the head down.

    steps: names of what is randomised in each step, in order; whatever came before stays random. bound: the value that
    a map must fall below.
    """
    width_in = max(6.0, 2.6 + 0.42 * len(steps))
    figure = Figure(figsize=(width_in, 4.6), layout="constrained")
    axis = figure.subplots()
    places = np.arange(len(steps) + 1)
    _draw_bands(axis, places, lines, marker="o")
    axis.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    if bound is not None:
        axis.axhline(bound, color=WARNING, linewidth=1.0)
    names = ["trained\nnetwork", *steps]
    axis.set_xticks(places, names, rotation=50, ha="right", rotation_mode="anchor", fontsize=9)
    axis.set_xlabel("randomised so far, from the head down")
    axis.set_ylabel(f"{measure} with the map before")
    axis.set_ylim(top=1.05)
    axis.grid(axis="y", color="0.92")
    limit = Line2D([], [], color=WARNING, linewidth=1.0, label="bound: a map that ends above it fails")
    _name_lines(figure, lines, [] if bound is None else [limit])
    definitions = "1: the same map, 0: no likeness. Lines: mean over subjects; bands: its interval. Gray: controls."
    return describe(figure, "Do the maps depend on what was learned?", definitions, caption)


def hit_rates(rates: Sequence[HitRate], caption: str = "") -> Figure:
    """Horizontal bars of planted-evidence hit rates with intervals, grouped by layer; a tick where chance lies."""
    groups = list(dict.fromkeys(rate.layer for rate in rates))
    methods = list(dict.fromkeys(rate.method for rate in rates if not rate.is_baseline))
    colours = {method: LINES[place % len(LINES)] for place, method in enumerate(methods)}
    figure = Figure(figsize=(8.6, 0.8 + 0.3 * (len(rates) + 1.3 * len(groups))), layout="constrained")
    axis = figure.subplots()
    place, places = 0.0, []
    for group in groups:
        axis.text(0.004, place, group, transform=axis.get_yaxis_transform(), va="center", weight="bold", fontsize=9.5)
        for rate in (rate for rate in rates if rate.layer == group):
            place += 1
            _draw_rate(axis, place, rate, "0.6" if rate.is_baseline else colours[rate.method])
            places.append(place)
        place += 1.3
    ordered = [rate for group in groups for rate in rates if rate.layer == group]
    axis.set_yticks(places, [rate.method for rate in ordered], fontsize=9)
    axis.set(xlim=(0, 1), ylim=(place - 0.7, -0.6), xlabel="scans in which the map's peak lies on the evidence (%)")
    axis.xaxis.set_major_formatter(PercentFormatter(1, symbol=None))
    axis.tick_params(axis="y", length=0)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", color="0.92")
    axis.set_axisbelow(True)
    chance = Line2D([], [], color="black", marker="|", markersize=13, markeredgewidth=2, linestyle="", label="chance")
    interval = Line2D([], [], color="black", linewidth=1.4, label="interval over subjects")
    figure.legend(handles=[interval, chance], loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    definitions = (
        "Of each map the share of scans whose hottest pixel lies on the evidence that was put there. Gray: baselines."
    )
    return describe(figure, "Do the maps find evidence that is known?", definitions, caption)


def _marks(row: VerdictRow) -> tuple[Mark, Mark, Mark]:
    return row.faithful, row.sane, row.redundant


def _draw_mark(axis: Axes, x: int, y: int, mark: Mark) -> None:
    """A coloured cell around (x, y) with the answer in words, so that colour is never the only sign."""
    colour = _TONES[mark.tone][0]
    axis.add_patch(Rectangle((x - 0.47, y - 0.44), 0.94, 0.88, facecolor=colour, edgecolor="none"))
    axis.text(x, y, mark.text, ha="center", va="center", fontsize=8.5)


def _styles(lines: Sequence[Band]) -> dict[str, dict[str, Any]]:
    """Line style by name: colours for maps, gray tones for baselines; the same name looks the same in all panels."""
    maps = list(dict.fromkeys(line.name for line in lines if not line.is_baseline))
    baselines = list(dict.fromkeys(line.name for line in lines if line.is_baseline))
    found: dict[str, dict[str, Any]] = {}
    for place, name in enumerate(maps):
        dashes = ("-", (0, (5, 2)))[place // len(LINES) % 2]
        found[name] = {"color": LINES[place % len(LINES)], "linestyle": dashes, "linewidth": 1.8}
    for place, name in enumerate(baselines):
        gray, dashes = _GRAYS[place % len(_GRAYS)]
        found[name] = {"color": gray, "linestyle": dashes, "linewidth": 1.5}
    return found


def _draw_bands(axis: Axes, x: Array, lines: Sequence[Band], marker: str | None = None) -> None:
    """Every line with its interval, baselines behind the maps."""
    styles = _styles(lines)
    for line in sorted(lines, key=lambda line: not line.is_baseline):
        style = styles[line.name]
        axis.fill_between(x, line.low, line.high, color=style["color"], alpha=0.13, linewidth=0)
        axis.plot(x, line.mean, label=line.name, marker=marker, markersize=3.5, **style)


def _name_lines(figure: Figure, lines: Sequence[Band], others: Sequence[Line2D] = ()) -> None:
    """One legend below all panels, of the lines and of others."""
    entries = [Line2D([], [], label=name, **style) for name, style in _styles(lines).items()] + list(others)
    ncols = min(len(entries), max(2, int(figure.get_figwidth() / 2.2)))
    figure.legend(handles=entries, loc="outside lower center", ncols=ncols, fontsize=9, frameon=False)


def _draw_rate(axis: Axes, place: float, rate: HitRate, colour: str) -> None:
    """One bar; what could not be measured says so."""
    if np.isnan(rate.rate):
        axis.text(0.01, place, "not measured", va="center", fontsize=8.5, fontstyle="italic", color="0.35")
        return
    axis.barh(place, rate.rate, height=0.72, color=colour, alpha=0.75)
    axis.plot([rate.low, rate.high], [place, place], color="black", linewidth=1.4)
    axis.plot(rate.chance, place, marker="|", color="black", markersize=13, markeredgewidth=2)
    axis.text(1.015, place, f"{100 * rate.rate:.0f} %", transform=axis.get_yaxis_transform(), va="center", fontsize=8.5)
