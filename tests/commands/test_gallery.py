"""The gallery has every figure, and every figure has what a reader needs: caption, units, texts that can be read."""

import importlib
import inspect
import pkgutil
import sys

import pytest
from matplotlib.figure import Figure
from PIL import Image

import retseg.figures
from retseg.commands import gallery as command
from retseg.commands.gallery import Drawn, draw_gallery
from retseg.commands.gallery_figures import EXHIBITS
from retseg.commands.gallery_material import of_run, of_shipped
from retseg.figures.captions import caption_of, title_of
from tests.figures.page import unreadable

WITHOUT_UNIT = (
    *("epoch", "loss", "learning rate", "predicted class", "true class", "subject", "B-scans", "rank correlation"),
    *("randomised so far", "mean Dice", "difference in mean Dice", "s0", "max ", "wrong: "),
)
"""What axes count or name without a unit; the last ones are names of scans and remarks under pictures."""


@pytest.fixture(scope="module")
def material(trained_run):
    return of_run(trained_run)


@pytest.fixture(scope="module")
def drawn(material):
    """Each exhibit's figure, and the code that ran while it was drawn."""
    found = {}
    for exhibit in EXHIBITS:
        ran = set()
        sys.setprofile(lambda frame, event, _, ran=ran: ran.add(frame.f_code) if event == "call" else None)
        try:
            figure = exhibit.draw(material)
        finally:
            sys.setprofile(None)
        found[exhibit.name] = (figure, ran)
    return found


def public_figure_functions():
    """Functions of retseg.figures that make a Figure; who is given one (`describe`) decorates it."""
    for module in pkgutil.iter_modules(retseg.figures.__path__, "retseg.figures."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            signature = inspect.signature(function, eval_str=True)
            takes_one = any(parameter.annotation is Figure for parameter in signature.parameters.values())
            is_own = function.__module__ == module.name and not name.startswith("_")
            if is_own and signature.return_annotation is Figure and not takes_one:
                yield function


def test_every_public_figure_function_is_shown():
    functions = set(public_figure_functions())
    assert len(functions) >= 27
    assert {function.__qualname__ for function in functions - {exhibit.function for exhibit in EXHIBITS}} == set()
    assert len({exhibit.name for exhibit in EXHIBITS}) == len(EXHIBITS)


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_a_figure_is_drawn_by_its_function_and_can_be_read(drawn, exhibit):
    figure, ran = drawn[exhibit.name]
    assert exhibit.function.__code__ in ran
    assert title_of(figure)
    caption = caption_of(figure)
    assert len(caption.split()) > 12
    assert all(line[0].isupper() or line[0].isdigit() for line in caption.splitlines()), caption
    assert all(line.endswith(".") for line in caption.splitlines()), caption
    assert ("Values made up for this gallery" in caption) == (exhibit.of == "made-up values")
    figure.set_dpi(command.DPI)
    assert unreadable(figure) == []


@pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: exhibit.name)
def test_axes_of_quantities_name_them_with_their_unit(drawn, exhibit):
    figure, _ = drawn[exhibit.name]
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            label = axis.get_label_text()
            assert not label or has_unit(label), (exhibit.name, label)
            if axes.axison and has_numbers(axis) and not is_named_elsewhere(axes, axis, figure):
                assert label, (exhibit.name, axes.get_title())


def has_unit(label):
    return "(" in label or "mm" in label or label.startswith(WITHOUT_UNIT)


def has_numbers(axis):
    """Whether its tick labels, as shown, are numbers."""
    shown = [tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible()]
    shown += [tick.label2 for tick in axis.get_major_ticks() if tick.label2.get_visible()]
    words = [text.get_text().lstrip("\N{MINUS SIGN}") for text in shown if text.get_text()]
    return any(word.replace(".", "").isdigit() for word in words)


def is_named_elsewhere(axes, axis, figure):
    """Grids of panels name a quantity once; small colour bars have their unit as a title."""
    if axes.get_title() in ("µm", "px"):
        return True
    others = [other for other in figure.axes if other is not axes]
    names = [other.xaxis if axis is axes.xaxis else other.yaxis for other in others]
    shares = any(name.get_label_text() for name in names) or figure.get_supylabel() or figure.get_supxlabel()
    return bool(shares) and axes.get_subplotspec() is not None and len(figure.axes) > 2


def test_a_run_gives_a_page_with_all_figures_in_both_kinds(material, tmp_path):
    exhibits = EXHIBITS[:2] + EXHIBITS[-1:]
    made = draw_gallery(material, exhibits, tmp_path / "gallery", quiet=True)
    page = (tmp_path / "gallery" / "index.html").read_text()
    for one in made:
        assert isinstance(one, Drawn)
        with Image.open(tmp_path / "gallery" / f"{one.name}.png") as picture:
            assert picture.info["Description"] == one.caption
        assert (tmp_path / "gallery" / f"{one.name}.pdf").read_bytes().startswith(b"%PDF")
        for words in (f'src="{one.name}.png"', one.command, one.function):
            assert words in page
    assert "3 figures" in page
    assert "do not pass them on" not in page


def test_without_a_run_the_shipped_network_draws(retseg, tmp_path, monkeypatch):
    monkeypatch.setattr("retseg.commands.gallery_figures.EXHIBITS", EXHIBITS[:1])
    code, out, error = retseg("gallery", "-q", "-o", tmp_path / "gallery")
    assert (code, error) == (0, "")
    assert out == f"1 figures: {tmp_path / 'gallery' / 'index.html'}\n"
    assert retseg("gallery", "-q", "-o", tmp_path / "gallery")[0] == 0  # a gallery is replaced
    assert sorted(path.name for path in (tmp_path / "gallery").iterdir()) == [
        "index.html",
        "samples.pdf",
        "samples.png",
    ]


def test_the_shipped_network_has_all_that_figures_need():
    material = of_shipped()
    assert material.layers == ["conv2d_20", "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11"]
    assert material.history is None


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda out: (out.mkdir(), (out / "mine.txt").write_text("x")), "is there and is no gallery of this command"),
        (lambda out: out.write_text("x"), "is there and is no gallery of this command"),
        (lambda out: (out.mkdir(), (out / "index.html").write_text("mine")), "choose another folder with -o"),
    ],
)
def test_what_is_not_a_gallery_is_never_replaced(retseg, tmp_path, prepare, message):
    out = tmp_path / "out"
    prepare(out)
    before = sorted(path.name for path in tmp_path.rglob("*"))
    code, _, error = retseg("gallery", "-q", "-o", out)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


def test_a_run_that_is_none_is_one_line_and_leaves_nothing(retseg, tmp_path):
    code, _, error = retseg("gallery", "--run", tmp_path / "none", "-o", tmp_path / "out")
    assert code == 2
    assert "no such folder" in error
    assert not (tmp_path / "out").exists()
