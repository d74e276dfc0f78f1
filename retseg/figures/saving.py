"""A figure into files, as PNG and PDF, laid out and drawn once for each; title and caption go along as metadata."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from retseg import __version__
from retseg.evaluation.atomic import replacing_file
from retseg.figures.captions import caption_of, title_of

_DECIMALS = 9
"""Of places, as shares of the page: some 1e-6 pt, a million times the solver's noise and far below any printer's."""
_MAKER = f"retseg {__version__}, matplotlib {matplotlib.__version__}"


def save_png_and_pdf(figure: Figure, stem: Path, dpi: int) -> None:
    """Write `<stem>.png` and `<stem>.pdf`, each whole or not at all; the figure keeps the layout of the first.

    `Figure.savefig` would draw everything twice, and lay it out anew for the second file: thrice the time.
    """
    save_whole(figure, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf"), dpi, compress_level=6)


def save_whole(figure: Figure, png: Path, pdf: Path, dpi: int = 130, compress_level: int = 1) -> None:
    """The same under two paths; compress_level: zlib's, 0 to 9, of the PNG."""
    canvas = lay_out(figure, dpi)
    with replacing_file(png) as partial:
        _write_png(canvas, partial, compress_level)
    with replacing_file(pdf) as partial:
        _write_pdf(figure, partial)


def bytes_of(figure: Figure, kind: Literal["png", "pdf"], dpi: int = 140) -> bytes:
    """The figure as a file of a kind; equal figures are equal files. It keeps the layout of the first."""
    buffer = BytesIO()
    canvas = lay_out(figure, dpi)
    if kind == "png":
        _write_png(canvas, buffer, compress_level=6)
    else:
        _write_pdf(figure, buffer)
    return buffer.getvalue()


def lay_out(figure: Figure, dpi: int) -> FigureCanvasAgg:
    """Give the panels their final places, to a billionth of the page; a layout that was made already stays.

    The solver of a constrained layout adds up in the order in which its variables lie in memory: the last bits of a
    place differ from run to run, and in a PDF they are now and then seen.
    """
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")
        for axis in figure.axes:
            axis.set_position(Bbox(axis.get_position(original=True).get_points().round(_DECIMALS)))
    return canvas


def _write_png(canvas: FigureCanvasAgg, file: Path | BytesIO, compress_level: int) -> None:
    settings = {"compress_level": compress_level}
    canvas.print_png(file, metadata=_of_png(canvas.figure), pil_kwargs=settings)  # type: ignore[no-untyped-call]  # matplotlib left it untyped


def _write_pdf(figure: Figure, file: Path | BytesIO) -> None:
    FigureCanvasPdf(figure).print_pdf(file, metadata=_of_pdf(figure))  # type: ignore[no-untyped-call]  # the same


def _of_png(figure: Figure) -> dict[str, str]:
    """Keywords of the PNG specification."""
    return {"Title": title_of(figure), "Description": caption_of(figure), "Software": _MAKER}


def _of_pdf(figure: Figure) -> dict[str, str | None]:
    """Entries of the document information dictionary; no date, so that equal figures are equal files."""
    return {"Title": title_of(figure), "Subject": caption_of(figure), "Creator": _MAKER, "CreationDate": None}
