"""`retseg view`: a local page that shows scans live and lets their surfaces be corrected."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from retseg.errors import InputError

PACKAGES = ("starlette", "uvicorn")


def view(
    run: Annotated[
        list[Path] | None, typer.Option(help="Run folder with the network; repeat to choose in the page.")
    ] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="Exported network (.onnx, .safetensors) or checkpoint; repeat.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Save corrected scans here; without: they are downloaded.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: a free one.")] = 0,
    max_mb: Annotated[float, typer.Option(min=0.1, help="Largest drop of files that is taken, in MB.")] = 512,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in your browser.")] = True,
) -> None:
    """Drop a scan on a page of your own machine; see layers, microns and heat maps, and correct them.

    Reads what `retseg predict` reads. Shows layers, surfaces, thickness,
    confidence, the quality gate's verdict, and at each place what the network
    looked at. Surfaces are corrected by dragging; a corrected scan is saved
    as a label that training reads. Without --run and --weights the network
    that comes with retseg answers; of several, all together or any one.

    The page is served to this machine alone (127.0.0.1), asks nothing of any
    other, and keeps nothing: dropped files are gone when it ends (Ctrl-C).
    Research only.

    In use:

      retseg view

      retseg view --run runs/phantom/2026-01-31_10-00-00

      retseg view --weights RUN/export/model.safetensors --labels my_labels

      python -m retseg.train data=hdf5 data.root=my_labels split.subjects=[Subject_07]
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise InputError(f"retseg view: {', '.join(missing)} is not installed; pip install 'retseg[app]'")
    from retseg.commands.open_network import open_scan_network
    from retseg.inference.shipped import shipped_weights
    from retseg.view.corrected import check_label_folder
    from retseg.view.server import serve

    if labels is not None:
        check_label_folder(labels)
    paths = [*(run or ()), *(weights or ())] or [shipped_weights()]
    networks = [open_scan_network(path) for path in paths]

    def tell(address: str) -> None:
        typer.echo(f"retseg view: {address}\nthis machine alone; research only; Ctrl-C ends it, and nothing is kept")

    serve(networks, port, round(max_mb * 1e6), labels, browser, tell)
