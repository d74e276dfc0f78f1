"""`retseg measure`: anybody's masks or surfaces, without a network: their thickness, or their scores against others."""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.evaluation.evaluation import Evaluation
    from retseg.evaluation.matching import Measuring, Pairing

NUM_DRAWS = 2000
Eye = Literal["OD", "OS"]
End = Literal["superior", "inferior"]


def measure(
    labels: Annotated[Path, typer.Argument(help="Folder of masks or surfaces, or one file.")],
    truth: Annotated[
        Path | None, typer.Argument(help="The same for what is true: then scores; files match by stem.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for tables and figures.")] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="AXIAL,LATERAL", help="Pixel size in um; without: px, or what files say.")
    ] = None,
    bscan_distance: Annotated[float | None, typer.Option(metavar="UM", help="Distance of B-scans.")] = None,
    max_gap: Annotated[
        float | None, typer.Option(metavar="UM", help="B-scans farther apart have a gap; without: 1.5 distances.")
    ] = None,
    eye: Annotated[Eye | None, typer.Option(help="Which eye it is.")] = None,
    first_bscan: Annotated[End | None, typer.Option(help="End of the eye that the first B-scan is at.")] = None,
    fovea: Annotated[
        list[str] | None, typer.Option(metavar="[VOLUME:]COLUMN,BSCAN", help="Foveal centre; without: it is found.")
    ] = None,
    slab: Annotated[
        list[str] | None, typer.Option(metavar="FIRST:LAST", help="Layers as one, besides the usual; repeat.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(metavar="GRID", help="ETDRS, quadrants, hemifields (all three), or RADII:SECTORS in um; repeat."),
    ] = None,
    volumes_by: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Its groups volume and bscan say what a file is.")
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="What was labelled: for overlays, and its scale if known.")
    ] = None,
    second: Annotated[Path | None, typer.Option(help="A second grader's labels: the ceiling (with TRUTH).")] = None,
    subjects: Annotated[Path | None, typer.Option(metavar="CSV", help="Table with the columns scan, subject.")] = None,
    subject_pattern: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Its first group in a stem is the subject.")
    ] = None,
    ignore_label: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Marks what nobody annotated, e.g. 255; repeat.")
    ] = None,
    draws: Annotated[
        int, typer.Option(min=0, help="Draws of the bootstrap (with TRUTH); 0: no intervals.")
    ] = NUM_DRAWS,
    figures: Annotated[bool, typer.Option(help="Draw figures (with -o).")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tables, no progress bar.")] = False,
) -> None:
    """Thickness of masks or surfaces, with maps and grids of volumes; with TRUTH, their scores against it.

    Masks: .png, .tif, .npy, .npz (mask) of class ids 0..7, -1 where nobody
    annotated. Surfaces: .csv (a line an A-scan, 8 columns), .npy (8, W),
    .npz (surface_rows); 0-based rows, empty or nan where unknown. Volumes:
    .nii, .nii.gz (columns, B-scans, rows), .tif of many pages, .npy and
    .npz (B-scans, rows, columns).

    Files called VOLUME_b10, with or without _g1 (grader), _mask, _surfaces,
    are B-scan 10 of VOLUME; other names are told by --volumes-by, which sees
    the path below LABELS without its ending, and may have a group eye (OD,
    OS, R, L). A B-scan that is missing leaves a gap. A scale that nobody
    gave stays unknown: then pixels, and no map.

    What is written is what `retseg predict` writes: surfaces and thickness
    of each scan, tables and maps of each volume, scans.csv.

    With TRUTH: overlap, surfaces in um, topology, each with its interval by
    subject. Without subjects there are no intervals: scans of one eye are no
    sample.

    In use:

      retseg measure my_masks -o out --spacing 3.87,11.33 --bscan-distance 240 --eye OD

      retseg measure mask.nii.gz -o out --eye OS --first-bscan inferior --fovea 384,30

      retseg measure eyes -o out --volumes-by '(?P<volume>.+)/(?P<bscan>[0-9]+)' --slab NFL:INL --grid quadrants

      retseg measure my_masks manual_masks --spacing 3.87,11.33 --subject-pattern '^(s[0-9]+)_'

      retseg measure RUN/evaluation/predictions RUN/evaluation/truth --second RUN/evaluation/second
    """
    from retseg.evaluation.matching import Measuring, read_spacing, read_subjects

    measuring = Measuring(
        spacing=None if spacing is None else read_spacing(spacing),
        subjects=None if subjects is None else read_subjects(subjects),
        subject_pattern=None if subject_pattern is None else _pattern(subject_pattern),
        ignore_labels=tuple(ignore_label or ()),
    )
    of_geometry = {
        "bscan_distance": bscan_distance, "max_gap": max_gap, "eye": eye, "first_bscan": first_bscan, "fovea": fovea,
        "slab": slab, "grid": grid, "volumes_by": volumes_by, "images": images,
    }  # fmt: skip
    if truth is not None:
        _refuse_given(of_geometry, "of thickness alone: leave TRUTH out")
        _score(labels, truth, second, measuring, output, draws, figures, quiet)
        return
    _refuse_given({"second": second}, "of scores alone: name TRUTH after LABELS")
    from retseg.commands.measured_geometry import GeometryCall, measure_labels
    from retseg.commands.measured_report import tell_measured

    call = GeometryCall(
        labels=labels,
        output=output,
        measuring=measuring,
        bscan_distance=bscan_distance,
        max_gap=max_gap,
        eye=eye,
        first_bscan=first_bscan,
        foveae=tuple(fovea or ()),
        slabs=tuple(slab or ()),
        grids=tuple(grid or ()),
        volumes_by=volumes_by,
        images=images,
        figures=figures,
        quiet=quiet,
    )
    measured = measure_labels(call)
    if not quiet:
        tell_measured(measured, output)
    if measured.failures:
        raise typer.Exit(1)


def _refuse_given(options: Mapping[str, object], why: str) -> None:
    """InputError where an option was given that has no meaning here."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')}: {why}")


def _score(
    labels: Path,
    truth: Path,
    second: Path | None,
    measuring: "Measuring",
    output: Path | None,
    draws: int,
    figures: bool,
    quiet: bool,
) -> None:
    """Scores of labels against what is true, written and printed."""
    from retseg.commands.evaluation_report import print_evaluation, report_console
    from retseg.evaluation.matching import pair_files

    pairing = pair_files(labels, truth, second)
    evaluation = _measured(f"{labels} against {truth}", pairing, measuring, draws, quiet)
    if output is not None:
        _write(evaluation, output, figures)
    if quiet:
        return
    console = report_console()
    print_evaluation(console, evaluation)
    if output is not None:
        console.print(f"\nwritten to {output}: {', '.join(sorted(path.name for path in output.iterdir()))}")


def _measured(title: str, pairing: "Pairing", measuring: "Measuring", num_draws: int, quiet: bool) -> "Evaluation":
    """Scores of paired files."""
    from retseg.commands.progress import progress
    from retseg.evaluation.evaluation import Origin, ceiling_words, evaluate, measure_scans, with_label_origin
    from retseg.evaluation.label_files import read_labels
    from retseg.evaluation.matching import UNKNOWN, paired_case
    from retseg.evaluation.temperature import fixed

    with progress("measuring", len(pairing.names), quiet) as advance:
        measured = measure_scans(pairing.names, partial(paired_case, pairing, measuring), advance)
    label_origin = read_labels(pairing.truths[pairing.names[0]], measuring.ignore_labels).label_origin or UNKNOWN
    ceiling, note = ceiling_words(label_origin)
    notices = [*pairing.unmatched, "calibration and the paper's soft scores need probabilities: `retseg evaluate`"]
    if any(record.subject == UNKNOWN for record in measured.records):
        notices.append("whose scans these are is not known: give --subjects or --subject-pattern to get intervals")
    origin = Origin(
        title=title,
        stamp=with_label_origin("who trained on what is not known here", label_origin),
        data_name=f"{len(pairing.names)} pairs of files",
        label_origin=label_origin,
        ceiling=ceiling,
        ceiling_note=note,
        notices=tuple(notices),
    )
    return evaluate(measured, origin, fixed(len(measured.records), None, "no probabilities at hand"), num_draws)


def _write(evaluation: "Evaluation", output: Path, figures: bool) -> None:
    from retseg.evaluation.output import write_numbers

    if figures:
        from retseg.commands.evaluation_figures import draw_figures

        draw_figures(evaluation, output / "figures")
    write_numbers(evaluation, output)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(f"--subject-pattern {text}: no regular expression ({error}); e.g. '^(s[0-9]+)_'") from error
