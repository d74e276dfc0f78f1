"""Pictures of what a source holds (paper 3.1): sample scans, gray levels, class balance, layer thickness."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from retseg.anatomy import CLASS_NAMES, CLASSES, LAYER_NAMES, LAYERS
from retseg.bscan import Array
from retseg.data.description import ALL, NOT_ANNOTATED, Description, Thickness
from retseg.figures.captions import describe
from retseg.figures.palette import LAYER_COLOURS, RATIO
from retseg.figures.palette import NOT_ANNOTATED as NOT_ANNOTATED_GRAY
from retseg.figures.scans import class_legend, colour_mask

_COLOURS = {**LAYER_COLOURS, NOT_ANNOTATED: NOT_ANNOTATED_GRAY, ALL: "#808080"}
_SAMPLE_WIDTH_IN = 5.0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One scan of a sample grid: its name, image (H, W) gray levels 0..255 and mask (H, W) class ids."""

    name: str
    image: Array
    mask: Array


def sample_grid(samples: Sequence[Sample], source: str) -> Figure:
    """Scans of a source, a row each: the gray B-scan and its mask (the paper's Figure 1, in a fixed palette)."""
    heights_in = [_SAMPLE_WIDTH_IN * s.image.shape[0] / s.image.shape[1] for s in samples]
    figure = Figure(figsize=(2 * _SAMPLE_WIDTH_IN + 1, sum(heights_in) + 0.62 * len(samples) + 0.2))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(samples), 2, squeeze=False, height_ratios=heights_in)
    for (left, right), sample in zip(axes, samples, strict=True):
        left.imshow(sample.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        right.imshow(colour_mask(sample.mask), interpolation="nearest")
        left.set_title(f"{sample.name}: B-scan", fontsize=10)
        right.set_title(f"{sample.name}: mask", fontsize=10)
        left.set_ylabel("depth (px)")
        right.tick_params(labelleft=False)
    for axis in axes[-1]:
        axis.set_xlabel("A-scan (px)")
    figure.legend(handles=class_legend(), loc="outside lower center", ncols=9, fontsize=9, frameon=False)
    text = (
        "Left: the image as read, gray levels 0 to 255. Right: the class of every pixel, in the palette of all "
        "figures; no pixel is resampled. Axes count pixels, which need not be square on the retina."
    )
    return describe(figure, "Scans and their masks", text, f"Data: {source}.")


def gray_histograms(description: Description) -> Figure:
    """Share of pixels by gray level: all images, each class, and what is not annotated; mean and sd in each panel."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.subplots(2, 5, sharex=True, sharey=True)
    names = (ALL, *CLASS_NAMES, NOT_ANNOTATED)
    shares = {name: 100 * _shares(description.gray_histograms[name]) for name in names}
    # The spikes at 0 and 255 would flatten the rest, so they run out of the panels and are printed.
    highest = np.nanmax([shares[name][1:-1] for name in names])
    edges = np.arange(257) - 0.5
    for axis, name in zip(axes.flat, names, strict=True):
        axis.stairs(shares[name], edges, fill=True, color=_COLOURS[name])
        axis.stairs(shares[ALL], edges, baseline=None, color="0.45", linewidth=0.9, linestyle=":")
        axis.set_title(f"{'all pixels' if name == ALL else name}\n{_gray_label(description, name)}", fontsize=10)
        axis.set(xlim=(-4, 259), xticks=(0, 64, 128, 192, 255), ylim=(0, 1.1 * highest))
        if not np.isnan(shares[name][0]):
            ends = f"at 0: {shares[name][0]:.2f} %\nat 255: {shares[name][-1]:.2f} %"
            axis.text(0.95, 0.95, ends, transform=axis.transAxes, ha="right", va="top", fontsize=9)
    axes[1, 2].set_xlabel("gray level (0 to 255)", fontsize=10)
    figure.supylabel("share of the panel's pixels (%)", fontsize=10)
    text = (
        "Each panel adds up to 100 % over its 256 levels; mean ± sd of its "
        "pixels above it. All pixels: every image once. Classes: masks of all scans, so an image that two graders drew "
        "on counts twice; none: no such pixel. Dotted: all pixels. Spikes at 0 and 255 may run out of a panel: their "
        "shares are printed."
    )
    if description.name.startswith("Duke"):
        text += " Duke fills what lies outside a scan with exactly 255."
    return describe(figure, "Gray levels by class", text, _origin(description))


def class_balance(description: Description) -> Figure:
    """Share of annotated pixels by class: bars over all scans with a dot a subject, and a table by subject."""
    subjects = description.subjects
    figure = Figure(figsize=(13, max(3.9, 1.2 + 0.3 * len(subjects))), layout="constrained")
    bars, table = figure.subplots(1, 2, width_ratios=(1, 1.15))
    shares = _class_shares(description)
    colours = [_COLOURS[name] for name in CLASS_NAMES]
    bars.barh(range(len(CLASSES)), shares[0], color=colours, edgecolor="black", linewidth=0.6)
    _draw_subjects(bars, shares[1:])
    present = shares[shares > 0]
    bars.set(xscale="log", xlabel="share of annotated pixels (%, log scale)", title="all scans")
    bars.set_xlim(present.min() / 1.5 if present.size else 0.1, 100)
    bars.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    bars.xaxis.set_major_formatter(FuncFormatter(lambda percent, _: f"{percent:g}"))
    bars.xaxis.set_minor_formatter(NullFormatter())
    _name_rows(bars, CLASS_NAMES, [f"{share:.2f} %" if share > 0 else "absent" for share in shares[0]])
    _draw_table(table, shares[1:], shares[0], [group.name for group in subjects])
    text = (
        f"Pixels of a class over all annotated pixels, pooled over the masks of "
        f"all scans ({_percent(description.overall.not_annotated.share)} of all pixels are not annotated and count "
        "nowhere). On the log scale thin layers can be read; compare shares by the numbers, not by the lengths. Dots: "
        "single subjects. Right: each subject's share in %, shaded by its ratio to the share over all scans. Absent: "
        "no such pixel."
    )
    return describe(figure, "How much of the scans each class takes", text, _origin(description))


def thickness(description: Description) -> Figure:
    """Thickness by layer: mean and 5th to 95th percentile over all columns, and the mean of each subject.

    In um where any pixel size is known, in px otherwise.
    """
    unit = "px" if all(row.mean_um is None for row in description.overall.thickness) else "um"
    figure = Figure(figsize=(9, 4.1), layout="constrained")
    axis = figure.subplots()
    groups = (description.overall, *description.subjects)
    means, lows, highs = (
        np.array([[_value(row, f"{kind}_{unit}") for row in group.thickness] for group in groups])
        for kind in ("mean", "p05", "p95")
    )
    rows, colours = range(len(LAYERS)), [_COLOURS[layer.name] for layer in LAYERS]
    widths = highs[0] - lows[0]
    axis.barh(rows, widths, left=lows[0], height=0.5, color=colours, edgecolor="black", linewidth=0.6)
    axis.plot(means[0], rows, "|", color="black", markersize=26, markeredgewidth=2.5)
    _draw_subjects(axis, means[1:])
    printed = [
        "absent" if np.isnan(mean) else f"{mean:.1f} ({low:.1f} to {high:.1f})"
        for mean, low, high in zip(means[0], lows[0], highs[0], strict=True)
    ]
    _name_rows(axis, LAYER_NAMES, printed)
    axis.set_xlabel(f"axial thickness ({'µm' if unit == 'um' else unit})")
    axis.set_xlim(left=0)
    text = (
        "Bars: 5th to 95th percentile over the A-scans of all scans where "
        "both surfaces of a layer are known and do not cross; black line, their mean; the numbers are at the right. "
        "Dots: mean of each subject. Thickness is along the A-scan, not perpendicular to the layer. "
        "Absent: no column in which both surfaces are known."
    )
    return describe(figure, "Thickness by layer", text, _origin(description))


def _draw_subjects(axis: Axes, values: Array) -> None:
    """A dot for each subject, from values (subjects, rows of the axis)."""
    rows = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    axis.plot(values.ravel(), rows.ravel(), "o", color="white", markeredgecolor="black", markersize=4)


def _name_rows(axis: Axes, names: Sequence[str], printed: Sequence[str]) -> None:
    """Names at the left of rows 0, 1, ... from top to bottom, and numbers at the right."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    for row, text in enumerate(printed):
        axis.text(1.02, row, text, transform=axis.get_yaxis_transform(), va="center", fontsize=9)


def _draw_table(axis: Axes, shares: Array, overall: Array, names: Sequence[str]) -> None:
    """Percentages (subjects, C), brown where a subject has less of a class than all scans have, green where more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.log2(shares / overall)
    shade = axis.imshow(ratios, cmap=RATIO, vmin=-2, vmax=2, aspect="auto", interpolation="nearest", alpha=0.8)
    for (row, column), share in np.ndenumerate(shares):
        label = "absent" if np.isnan(share) or share == 0 else f"{share:.2f}" if share < 9.995 else f"{share:.1f}"
        is_dark = abs(ratios[row, column]) > 1.5
        axis.text(column, row, label, ha="center", va="center", fontsize=8, color="white" if is_dark else "black")
    axis.set_xticks(range(len(CLASS_NAMES)), CLASS_NAMES, rotation=35, ha="right", rotation_mode="anchor")
    axis.set_yticks(range(len(names)), names)
    axis.set(title="by subject: share of annotated pixels (%)", ylabel="subject")
    bar = axis.figure.colorbar(shade, ax=axis, fraction=0.04, pad=0.02)
    bar.set_ticks([-2, -1, 0, 1, 2], labels=["1/4", "1/2", "1", "2", "4"])
    bar.set_label("ratio to all scans (log scale)")


def _class_shares(description: Description) -> Array:
    """Percent of annotated pixels (1 + subjects, C), all scans first; nan where nothing is annotated."""
    groups = (description.overall, *description.subjects)
    shares = [[np.nan if pixels.share is None else pixels.share for pixels in group.classes] for group in groups]
    return 100 * np.array(shares)


def _value(row: Thickness, name: str) -> float:
    value = getattr(row, name)
    return np.nan if value is None else float(value)


def _shares(counts: Sequence[int]) -> Array:
    """Counts (256,) over their sum; nan without any."""
    total = sum(counts)
    return np.array(counts) / total if total else np.full(len(counts), np.nan)


def _gray_label(description: Description, name: str) -> str:
    if name == ALL:
        return f"{description.overall.gray.mean:.0f} ± {description.overall.gray.sd:.0f}"
    group = description.overall
    pixels = next(pixels for pixels in (*group.classes, group.not_annotated) if pixels.name == name)
    return "none" if pixels.gray_mean is None else f"{pixels.gray_mean:.0f} ± {pixels.gray_sd:.0f}"


def _origin(description: Description) -> str:
    overall = description.overall
    return (
        f"Data: {description.name}, {description.label_origin} labels: {overall.num_scans} scans of "
        f"{overall.num_bscans} B-scans, {len(description.subjects)} subjects."
    )


def _percent(share: float | None) -> str:
    return f"{100 * (share or 0):.1f} %"
