"""A figure into files, as PNG and PDF, laid out and drawn once for each; title and caption go along as metadata."""

from io import BytesIO
from pathlib import Path
from typing import Literal

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from retseg import __version__
from retseg.evaluation.atomic import replacing_file
from retseg.figures.captions import caption_of, title_of

_MAKER = f"retseg {__version__}, matplotlib {matplotlib.__version__}"


def save_png_and_pdf(figure: Figure, stem: Path, dpi: int) -> None:
    """Write `<stem>.png` and `<stem>.pdf`, each whole or not at all; the figure keeps the layout of the first.

    `Figure.savefig` would draw everything twice, and lay it out anew for the second file: thrice the time.
    """
    save_whole(figure, stem.with_name(f"{stem.name}.png"), stem.with_name(f"{stem.name}.pdf"), dpi, compress_level=6)


def save_whole(figure: Figure, png: Path, pdf: Path, dpi: int = 130, compress_level: int = 1) -> None:
    """The same under two paths; compress_level: zlib's, 0 to 9, of the PNG."""
    figure.set_dpi(dpi)
    with replacing_file(png) as partial:
        FigureCanvasAgg(figure).print_png(  # type: ignore[no-untyped-call]  # matplotlib left it untyped
            partial, metadata=_of_png(figure), pil_kwargs={"compress_level": compress_level}
        )
    figure.set_layout_engine("none")
    with replacing_file(pdf) as partial:
        FigureCanvasPdf(figure).print_pdf(partial, metadata=_of_pdf(figure))  # type: ignore[no-untyped-call]  # the same


def bytes_of(figure: Figure, kind: Literal["png", "pdf"], dpi: int = 140) -> bytes:
    """The figure as a file of a kind; equal figures are equal files."""
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=_of_pdf(figure) if kind == "pdf" else _of_png(figure))
    return buffer.getvalue()


def _of_png(figure: Figure) -> dict[str, str]:
    """Keywords of the PNG specification."""
    return {"Title": title_of(figure), "Description": caption_of(figure), "Software": _MAKER}


def _of_pdf(figure: Figure) -> dict[str, str | None]:
    """Entries of the document information dictionary; no date, so that equal figures are equal files."""
    return {"Title": title_of(figure), "Subject": caption_of(figure), "Creator": _MAKER, "CreationDate": None}
