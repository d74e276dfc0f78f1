"""Charts as numbers on a small canvas, which templates draw as SVG: lines, and marks with intervals.

Places are in units of the canvas, x to the right and y downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from retseg.report.colours import RunStyle

WIDTH, HEIGHT = 460, 280
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 14, 44
EPOCH = "epoch"
"""Title of an axis of whole numbers."""
ROW_HEIGHT = 15
"""Of one mark among those of one row."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Tick:
    """A place on an axis and what stands there."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line: SVG path, how it is drawn, its name; is_faint: drawn thin, as of training beside validation."""

    path: str
    style: RunStyle
    name: str
    is_faint: bool = False


@dataclass(frozen=True, slots=True)
class MarkWithInterval:
    """A value with its interval at a height; low and high are its own place where there is none."""

    x: float
    low: float
    high: float
    y: float
    style: RunStyle
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A drawing with axes. words: what it shows, for those who do not see it."""

    title: str
    words: str
    x_label: str
    y_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    lines: Sequence[Line] = field(default_factory=tuple)
    marks: Sequence[MarkWithInterval] = field(default_factory=tuple)
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    diagonal: str = ""

    @property
    def right(self) -> float:
        """Right edge of the plot."""
        return self.width - RIGHT

    @property
    def bottom(self) -> float:
        """Lower edge of the plot."""
        return self.height - BOTTOM

    @property
    def top(self) -> float:
        """Upper edge of the plot."""
        return TOP


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Points of one line in the units of the data; nan is a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    style: RunStyle
    is_faint: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class MarkedRow:
    """One row of a chart of marks: its name, and a value, low, high for each run (nan: not known)."""

    name: str
    values: Sequence[tuple[float, float, float]]


def nice_ticks(low: float, high: float, wanted: int = 5, least_step: float = 0.0) -> list[float]:
    """About as many round numbers as wanted that span low to high, the ends included or passed."""
    if not high > low:
        low, high = low - 0.1, low + 0.1
    raw = max((high - low) / wanted, least_step)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def line_chart(
    titles: tuple[str, str, str],
    series: Sequence[Series],
    words: str,
    y_range: tuple[float, float] | None = None,
    has_diagonal: bool = False,
) -> Chart:
    """Lines over x. titles: of the chart, of x, of y. y_range: of the axis; by default what the lines span."""
    title, x_label, y_label = titles
    xs = [x for line in series for x in line.xs]
    ys = [y for line in series for y in line.ys if math.isfinite(y)] or [0.0, 1.0]
    x_values = nice_ticks(min(xs, default=0), max(xs, default=1), least_step=1.0 if x_label == EPOCH else 0.0)
    y_values = nice_ticks(*(y_range or (min(ys), max(ys))))
    x_of = _Scale(x_values[0], x_values[-1], LEFT, WIDTH - RIGHT)
    y_of = _Scale(y_values[0], y_values[-1], HEIGHT - BOTTOM, TOP)
    lines = [Line(_path([(x_of(x), y_of(y)) for x, y in zip(one.xs, one.ys, strict=True)]), one.style, one.name,
                  one.is_faint) for one in series]  # fmt: skip
    ends = (max(x_values[0], y_values[0]), min(x_values[-1], y_values[-1]))
    diagonal = _path([(x_of(end), y_of(end)) for end in ends]) if has_diagonal else ""
    x_ticks = [Tick(x_of(value), f"{value:g}") for value in x_values]
    y_ticks = [Tick(y_of(value), f"{value:g}") for value in y_values]
    return Chart(title, words, x_label, y_label, x_ticks, y_ticks, lines, diagonal=diagonal)


def mark_chart(
    titles: tuple[str, str], rows: Sequence[MarkedRow], styles: Sequence[RunStyle], words: str, digits: int,
    from_zero: bool = False,
) -> Chart:  # fmt: skip
    """Values with intervals along x, a row each. titles: of the chart, of x. from_zero: the axis begins at 0."""
    left, row_height = 84, ROW_HEIGHT * len(styles) + 8
    known = [number for row in rows for value in row.values for number in value if math.isfinite(number)] or [0.0, 1.0]
    values = nice_ticks(0.0 if from_zero else min(known), max(known))
    x_of = _Scale(values[0], values[-1], left, WIDTH - RIGHT)
    marks, ticks = [], []
    for place, row in enumerate(rows):
        top = TOP + place * row_height
        ticks.append(Tick(top + row_height / 2, row.name))
        for number, ((value, low, high), style) in enumerate(zip(row.values, styles, strict=True)):
            if math.isfinite(value):
                y = top + 4 + (number + 0.5) * ROW_HEIGHT
                first, last = (x_of(end) if math.isfinite(end) else x_of(value) for end in (low, high))
                marks.append(MarkWithInterval(x_of(value), first, last, y, style, f"{row.name}: {value:.{digits}f}"))
    x_ticks = [Tick(x_of(value), f"{value:g}") for value in values]
    height = TOP + len(rows) * row_height + BOTTOM
    return Chart(titles[0], words, titles[1], "", x_ticks, ticks, marks=marks, height=height, left=left)


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Place of a value of the data on the canvas."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def _path(points: Sequence[Point]) -> str:
    """SVG path through points; a point that is nan lifts the pen."""
    words, is_down = [], False
    for x, y in points:
        if not (math.isfinite(x) and math.isfinite(y)):
            is_down = False
            continue
        words.append(f"L{x:g} {y:g}" if is_down else f"M{x:g} {y:g} h0")  # h0: a point alone is a dot
        is_down = True
    return " ".join(words)
