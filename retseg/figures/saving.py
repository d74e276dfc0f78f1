"""A figure into files, as PNG and PDF, laid out and drawn once for each."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from retseg.evaluation.atomic import replacing_file


def save_png_and_pdf(figure: Figure, stem: Path, dpi: int) -> None:
    """Write `<stem>.png` and `<stem>.pdf`; the figure keeps the layout of the first.

    `Figure.savefig` would draw everything twice, and lay it out anew for the second file: thrice the time.
    """
    figure.set_dpi(dpi)
    FigureCanvasAgg(figure).print_png(stem.with_name(f"{stem.name}.png"))  # type: ignore[no-untyped-call]  # matplotlib left it untyped
    figure.set_layout_engine("none")
    FigureCanvasPdf(figure).print_pdf(stem.with_name(f"{stem.name}.pdf"))  # type: ignore[no-untyped-call]  # the same


def save_png(figure: Figure, path: Path, dpi: int = 130) -> None:
    """Write one PNG, whole or not at all."""
    figure.set_dpi(dpi)
    with replacing_file(path) as partial:
        FigureCanvasAgg(figure).print_png(partial, pil_kwargs={"compress_level": 1})  # type: ignore[no-untyped-call]  # matplotlib left it untyped
