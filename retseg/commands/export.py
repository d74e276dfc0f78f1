"""`retseg export`: a trained network as files that run without retseg, each checked against the run."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from retseg.commands.evaluate import Checkpoint


class Format(str, Enum):
    """What kind of file is written."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TORCH_EXPORT = "torch-export"


def export(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; without: RUN/export.")] = None,
    format: Annotated[list[Format] | None, typer.Option(help="Only this kind of file; repeat.")] = None,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which weights.")] = Checkpoint.BEST,
    inputs: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Scans to compare on; without: the run's; repeat.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No table; errors alone.")] = False,
) -> None:
    """Write a network as model.onnx, model.safetensors, model.pt2, with MODEL_CARD.md.

    ONNX: gray levels 0..255 in, logits and probabilities out, any number of
    scans; normalisation, unpooling, class names and colours are inside.
    safetensors: the weights, with all that is needed to build the network.
    torch-export: a program for torch.export.load (open your own files alone).

    Each file is read back and compared with the run, on held-out scans, one by
    one and in threes: every pixel must have the same class. If not: no file,
    and exit code 2.

    `retseg predict --weights` takes .onnx and .safetensors; neither can run
    code. ONNX needs the extra `export` of the installation.

    In use:

      retseg export runs/phantom/2026-01-31_10-00-00

      retseg export RUN -o models/phantom --format onnx

      retseg export RUN --inputs scans/a.png --inputs scans/b.png

      retseg predict scans --weights RUN/export/model.onnx -o out
    """
    from retseg.commands.exported_files import export_run
    from retseg.commands.exported_report import tell_export

    exported = export_run(
        run,
        output or run / "export",
        [one.value for one in format or Format],
        checkpoint=checkpoint.value,
        inputs=inputs or (),
    )
    if not quiet:
        tell_export(exported)
