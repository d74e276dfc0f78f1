"""`retseg explain`: heat maps of what a network looks at, and whether they are worth looking at."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retseg.commands.evaluate import Checkpoint, Side
from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.bscan import Spacing

AT_SOFTMAX = "conv2d_20"
LAYERS = (AT_SOFTMAX, "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11")
OVER = "image, predicted, true, pixel:ROW,COLUMN, surface:NAME[,HALF_WIDTH_PX], mask:FILE"


class Of(str, Enum):
    """What is read at each pixel."""

    PROBABILITY = "probability"
    LOG_PROBABILITY = "log_probability"
    LOGIT = "logit"


class Reduction(str, Enum):
    """How pixels are pooled."""

    SUM = "sum"
    MEAN = "mean"


def explain(
    network: Annotated[Path, typer.Argument(metavar="RUN|WEIGHTS", help="Run folder, or a .ckpt file in one.")],
    scans: Annotated[
        list[str] | None, typer.Argument(help="Scans of the run's data (s03_b10), or image files; none: all held out.")
    ] = None,
    layers: Annotated[
        str | None, typer.Option(metavar="NAME,NAME", help=f"Layers of the network; without: {', '.join(LAYERS)}.")
    ] = None,
    methods: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="gradcam, hirescam, occlusion ...; all: every fast one.")
    ] = "gradcam",
    of: Annotated[Of, typer.Option(help="Class score: what is read at a pixel.")] = Of.PROBABILITY,
    reduction: Annotated[Reduction, typer.Option(help="Class score: how pixels are pooled.")] = Reduction.SUM,
    over: Annotated[str, typer.Option(help=f"Class score: which pixels; {OVER}.")] = "image",
    check: Annotated[
        bool, typer.Option("--check", help="Test the maps, too: faithful? sane? stable? (minutes)")
    ] = False,
    checked: Annotated[int, typer.Option(min=1, help="Scans of each subject that are tested, evenly spaced.")] = 2,
    random_labels: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Trained with debug=random_labels; for --check.")
    ] = None,
    other_seed: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The same, trained from another seed; for --check.")
    ] = None,
    data: Annotated[
        list[str] | None, typer.Option(metavar="CHOICE|NAME=VALUE", help="Other data, or where it lies now; repeat.")
    ] = None,
    on: Annotated[Side | None, typer.Option(help="Side of the run's split; without: test if there is one.")] = None,
    checkpoint: Annotated[Checkpoint, typer.Option(help="Which weights of a run.")] = Checkpoint.BEST,
    spacing: Annotated[
        str | None, typer.Option(metavar="AXIAL,LATERAL", help="Pixel size of image files in um; without: px.")
    ] = None,
    figures: Annotated[int, typer.Option(min=0, help="Scans that are drawn, evenly spaced; numbers are of all.")] = 3,
    overlays: Annotated[bool, typer.Option("--overlays", help="Draw each map large over its scan, too.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; without: RUN/explanation.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tables, no progress bar.")] = False,
) -> None:
    """Explain scans: maps of all classes, and how much of each the prediction already gives.

    Writes maps/SCAN.npz (raw, normalised, weights, coordinates), maps.csv
    (a row a map: Table 3 of the paper, redundancy, localisation),
    summary.csv, figures; with --check also curves.csv, sanity.csv,
    stability.csv and verdicts.csv. What an earlier call left there goes.

    In use:

      retseg explain runs/phantom/2026-01-31_10-00-00

      retseg explain RUN s03_b10 --layers conv2d_19,conv2d_11 --methods all

      retseg explain RUN --of logit --over surface:ILM,3

      retseg explain RUN scan.png --spacing 3.87,11.33 -o reports/scan

      retseg explain RUN --check --methods gradcam,hirescam
    """
    from retseg.commands.explained_scans import choose, open_network
    from retseg.commands.explained_score import WantedScore
    from retseg.commands.explanation import Wanted, explain_scans
    from retseg.explain.any_method import check_any
    from retseg.explain.engine import check_layers
    from retseg.explain.methods import METHODS

    score = WantedScore(of.value, reduction.value, over)
    names = list(METHODS) if methods == "all" else _words(methods, "--methods")
    check_any(names)
    run = open_network(network, checkpoint.value)
    wanted_layers = _words(layers, "--layers") if layers else _default_layers(of)
    check_layers(run.net, wanted_layers, score.anywhere)
    chosen = choose(run, scans or [], None if on is None else on.value, data or [], _spacing(spacing))
    wanted = Wanted(
        layers=wanted_layers,
        methods=names,
        score=score,
        num_drawn=figures,
        overlays=overlays,
        num_checked=checked if check else 0,
        random_labels=None if random_labels is None else open_network(random_labels, "best").net,
        other_seed=None if other_seed is None else open_network(other_seed, "best").net,
        quiet=quiet,
    )
    explain_scans(run, chosen, wanted, output or run.folder / "explanation")


def _words(text: str, option: str) -> list[str]:
    """Words between commas, each once."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    if not words:
        raise InputError(f"{option}: none given; name some, with commas between them")
    return words


def _default_layers(of: Of) -> list[str]:
    """The paper's two layers and deeper ones; the softmax is a layer of probabilities alone."""
    return [layer for layer in LAYERS if layer != AT_SOFTMAX or of == Of.PROBABILITY]


def _spacing(text: str | None) -> "Spacing":
    from retseg.bscan import Spacing
    from retseg.evaluation.matching import read_spacing

    return Spacing() if text is None else read_spacing(text)
