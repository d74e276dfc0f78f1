"""`retseg gallery`: every figure of retseg once, with its caption and the command that makes it, for review."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.commands.gallery_figures import Exhibit
    from retseg.commands.gallery_material import Material

DPI = 110
INDEX, MARK = "index.html", "retseg-gallery"


def gallery(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder; one that this command made is replaced.")],
    run: Annotated[Path | None, typer.Option(help="Run folder; without: the network that comes with retseg.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar.")] = False,
) -> None:
    """Draw every figure that retseg can draw, as PNG and PDF, and a page that shows them with their captions.

    Without a run, from made-up scans (the phantom) and the network that comes with retseg: no data is needed. What
    takes many trainings is drawn from made-up values, and says so. With a run, its scans are in the pictures.

    In use:

      retseg gallery -o gallery

      retseg gallery --run runs/phantom/2026-01-31_10-00-00 -o gallery
    """
    _refuse_what_is_not_ours(output)
    from retseg.commands.gallery_figures import EXHIBITS
    from retseg.commands.gallery_material import of_run, of_shipped

    material = of_shipped() if run is None else of_run(run)
    drawn = draw_gallery(material, EXHIBITS, output, quiet=quiet)
    typer.echo(f"{len(drawn)} figures: {output / INDEX}")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the page shows of a figure: its files' name, heading, caption, the command and function, and of what."""

    name: str
    title: str
    caption: str
    command: str
    function: str
    of: str


def draw_gallery(
    material: "Material", exhibits: "Sequence[Exhibit]", output: Path, *, quiet: bool = False
) -> list[Drawn]:
    """Files of all exhibits that the material has, and index.html; whole or not at all."""
    from retseg.commands.progress import progress
    from retseg.evaluation.atomic import replacing_folder
    from retseg.figures.captions import caption_of, title_of
    from retseg.figures.saving import save_png_and_pdf

    drawn: list[Drawn] = []
    with replacing_folder(output) as folder, progress("drawing", len(exhibits), quiet) as advance:
        for exhibit in exhibits:
            if (figure := exhibit.draw(material)) is not None:
                save_png_and_pdf(figure, folder / exhibit.name, DPI)
                function = f"{exhibit.function.__module__}.{exhibit.function.__name__}"
                said = title_of(figure), caption_of(figure)
                drawn.append(Drawn(exhibit.name, *said, exhibit.command, function, exhibit.of))
            advance()
        (folder / INDEX).write_text(_page(material, drawn), encoding="utf-8")
    return drawn


def _page(material: "Material", drawn: Sequence[Drawn]) -> str:
    """The page as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from retseg import __version__

    environment = Environment(
        loader=PackageLoader("retseg.commands", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    scans = material.scans
    return environment.get_template("gallery.html.j2").render(
        drawn=drawn, title=material.title, scans=scans, is_phantom="phantom" in scans.title, mark=MARK,
        version=__version__,
    )  # fmt: skip


def _refuse_what_is_not_ours(output: Path) -> None:
    """InputError if output is there, holds something, and is no gallery."""
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    index = output / INDEX
    if not index.is_file() or MARK not in index.read_text(encoding="utf-8", errors="replace"):
        raise InputError(f"{output}: is there and is no gallery of this command; choose another folder with -o")
