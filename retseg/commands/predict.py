"""`retseg predict`: layers, surfaces and microns of any scans, in one command."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Eye = Literal["OD", "OS"]
End = Literal["superior", "inferior"]


def predict(
    paths: Annotated[list[Path], typer.Argument(help="Scans: files, or folders with all that is below them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for everything that is written.")],
    run: Annotated[list[Path] | None, typer.Option(help="Run folder with the network; repeat for an ensemble.")] = None,
    weights: Annotated[
        list[Path] | None, typer.Option(help="Exported network (.onnx, .safetensors) or checkpoint; repeat.")
    ] = None,
    save: Annotated[
        list[str] | None, typer.Option(metavar="WHAT", help="Only these outputs, named above; 'all' for all; repeat.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="AXIAL,LATERAL", help="Pixel size in um; wins over the files'.")
    ] = None,
    bscan_distance: Annotated[float | None, typer.Option(metavar="UM", help="Distance of B-scans.")] = None,
    max_gap: Annotated[
        float | None, typer.Option(metavar="UM", help="B-scans farther apart have a gap; without: 1.5 distances.")
    ] = None,
    eye: Annotated[Eye | None, typer.Option(help="Which eye, where files do not say.")] = None,
    first_bscan: Annotated[End | None, typer.Option(help="End of the eye that the first B-scan is at.")] = None,
    fovea: Annotated[
        str | None, typer.Option(metavar="COLUMN,BSCAN", help="Foveal centre; without: it is found.")
    ] = None,
    stack: Annotated[bool, typer.Option("--stack", help="Pictures of one folder are B-scans of one volume.")] = False,
    key: Annotated[str | None, typer.Option(help="Name of the array in .npz and HDF5 files.")] = None,
    views: Annotated[
        int, typer.Option(min=1, help="Times that each network looks: mirrored, shifted, brightened.")
    ] = 1,
    dropout: Annotated[int, typer.Option(min=0, help="Samples of a network with dropout.")] = 0,
    smoothness: Annotated[
        float, typer.Option(min=0, metavar="NATS", help="Cost of a row's step between columns.")
    ] = 0.0,
    predict_anyway: Annotated[
        bool, typer.Option("--predict-anyway", help="Predict also scans that the quality gate fails.")
    ] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Scans side by side; without: one a core.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; write nothing.")] = False,
    resume: Annotated[bool, typer.Option("--resume", hidden=True, help="As always: a call goes on.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over an earlier call's files.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tables, no progress bar.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="A line for every scan.")] = False,
) -> None:
    """Layers, surfaces and thickness of scans of any common format, with how far to believe them.

    Reads PNG, JPEG, TIFF (8 and 16 bit, stacks), NPY, NPZ, HDF5, Duke .mat,
    DICOM, Topcon .fda, and with the extra `vendor` Heidelberg .vol .xml .e2e.
    Everything comes back on the scans' own pixels. A pixel size that nobody
    gave stays unknown: then there are pixels, and no microns.
    Without --run and --weights, the network that comes with retseg predicts:
    it was trained on made-up scans alone (weights/MODEL_CARD.md).

    Per scan: mask, surfaces, thickness, overlay; fluid (of networks that seek
    it); probabilities (on request).
    Per volume: tables, and maps, nifti, eyepy, dicom where they make sense.
    Those words are what --save takes. Per call: scans.csv, review.csv,
    failures.csv, run.json.

    The same command again goes on where one was stopped, at whatever moment:
    whole scans are kept, and tables tell of all. Other networks, settings or
    scans are refused in a folder that holds predictions (--overwrite).

    Exit code: 0, 1 if some scans failed, 2 if nothing could start or the disk
    is full, 130 if Ctrl-C stopped it, 143 if SIGTERM did.

    In use:

      retseg predict scan.png -o out

      retseg predict scans --run runs/phantom/2026-01-31_10-00-00 -o out

      retseg predict volume.dcm --weights model.onnx -o out --eye OD

      retseg predict scans/*.png --run RUN -o out --spacing 3.87,11.33

      retseg predict scans --run RUN_A --run RUN_B --views 4 -o out
    """
    from retseg.commands.prediction import Call, predict_all
    from retseg.inference.shipped import shipped_weights

    call = Call(
        paths=tuple(paths),
        output=output,
        networks=(*(run or ()), *(weights or ())) or (shipped_weights(),),
        save=None if save is None else tuple(save),
        spacing=spacing,
        bscan_distance=bscan_distance,
        max_gap=max_gap,
        eye=eye,
        first_bscan=first_bscan,
        fovea=fovea,
        is_stack=stack,
        array_key=key,
        views=views,
        dropout=dropout,
        smoothness=smoothness,
        is_forced=predict_anyway,
        jobs=jobs,
        is_dry=dry_run,
        is_overwriting=overwrite,
        quiet=quiet,
        verbose=verbose,
    )
    code = predict_all(call)
    if code:
        raise typer.Exit(code)
