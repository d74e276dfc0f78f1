"""Equal figures are equal files, to the byte, whatever the solver of the layout leaves in the last bits."""

import random
from collections.abc import Callable

from kiwisolver import Variable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from retseg.figures.captions import describe
from retseg.figures.saving import bytes_of, lay_out


def stacked() -> Figure:
    """Three panels whose scales are so steep that a last bit of their places shows in the tick's label."""
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    for axis, size_pt in zip(figure.subplots(3, 1), (9, 15, 13), strict=True):
        axis.set_xlabel("column", fontsize=size_pt)
        axis.set(xticks=[], yticks=[1000.0003], yticklabels=["a"], ylim=(1000, 1000.001))
    return describe(figure, "Thickness", "One.")


def shuffled(seed: int) -> Callable[[str], Variable]:
    """Makes the solver's variables, so that they lie in memory in an order drawn by the seed."""
    places = [Variable("") for _ in range(200)]
    random.Random(seed).shuffle(places)

    def variable(name: str) -> Variable:
        places[-1].setName(name)
        return places.pop()

    return variable


def higher_by(noise: float) -> Callable[[ConstrainedLayoutEngine, Figure], None]:
    """A constrained layout whose panels are higher by a share of the page."""
    execute = ConstrainedLayoutEngine.execute

    def noisy(self: ConstrainedLayoutEngine, figure: Figure) -> None:
        execute(self, figure)
        for axis in figure.axes:
            x0, y0, width, height = axis.get_position(original=True).bounds
            axis.set_position((x0, y0, width, height + noise))

    return noisy


def test_in_whatever_order_the_solvers_variables_lie_in_memory(monkeypatch):
    places = set()
    for seed in range(20):
        monkeypatch.setattr("kiwisolver.Variable", shuffled(seed))
        figure = stacked()
        lay_out(figure, 100)
        places.add(str([axis.get_position().bounds for axis in figure.axes]))
    assert len(places) == 1


def test_whatever_the_last_bits_of_the_panels_heights(monkeypatch):
    files = set()
    for noise in (0.0, 2e-16, -3e-16, 1e-15):
        with monkeypatch.context() as patch:
            patch.setattr(ConstrainedLayoutEngine, "execute", higher_by(noise))
            files.add(bytes_of(stacked(), "pdf"))
    assert len(files) == 1


def test_places_move_by_less_than_a_printer_sees():
    rounded, free = stacked(), stacked()
    lay_out(rounded, 100)
    free.set_dpi(100)
    free.draw_without_rendering()
    for here, there in zip(rounded.axes, free.axes, strict=True):
        moved = here.get_position().get_points() - there.get_position().get_points()
        assert abs(moved).max() <= 1e-9


def test_a_second_file_keeps_the_layout_of_the_first():
    figure = stacked()
    first = bytes_of(figure, "pdf", dpi=50)
    bytes_of(figure, "png", dpi=200)
    assert bytes_of(figure, "pdf", dpi=50) == first
