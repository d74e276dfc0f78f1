"""`retseg measure`: the scores of `retseg evaluate` for anybody's masks or surfaces, without a network."""

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retseg.errors import InputError

if TYPE_CHECKING:
    from retseg.evaluation.evaluation import Evaluation
    from retseg.evaluation.matching import Measuring, Pairing

NUM_DRAWS = 2000


def measure(
    predictions: Annotated[Path, typer.Argument(help="Folder of masks or surfaces, or one file.")],
    truth: Annotated[Path, typer.Argument(help="The same for what is true; files match by stem.")],
    second: Annotated[Path | None, typer.Option(help="A second grader's labels: the ceiling.")] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="AXIAL,LATERAL", help="Pixel size in um; without: px, or what files say.")
    ] = None,
    subjects: Annotated[Path | None, typer.Option(metavar="CSV", help="Table with the columns scan, subject.")] = None,
    subject_pattern: Annotated[
        str | None, typer.Option(metavar="REGEX", help="Its first group in a stem is the subject.")
    ] = None,
    ignore_label: Annotated[
        list[int] | None, typer.Option(metavar="ID", help="Marks what nobody annotated, e.g. 255; repeat.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for tables and figures.")] = None,
    draws: Annotated[int, typer.Option(min=0, help="Draws of the bootstrap; 0: no intervals.")] = NUM_DRAWS,
    figures: Annotated[bool, typer.Option(help="Draw figures (with -o).")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No tables, no progress bar.")] = False,
) -> None:
    """Score masks or surfaces: overlap, surfaces in um, topology, each with its interval by subject.

    Masks: .png, .tif, .npy, .npz (mask) of class ids 0..7, -1 where nobody
    annotated. Surfaces: .csv (a line an A-scan, 8 columns), .npy (8, W),
    .npz (surface_rows); 0-based rows, empty or nan where unknown.

    Without subjects there are no intervals: scans of one eye are no sample.

    In use:

      retseg measure my_masks manual_masks --spacing 3.87,11.33 --subject-pattern '^(s[0-9]+)_'

      retseg measure RUN/evaluation/predictions RUN/evaluation/truth --second RUN/evaluation/second

      retseg measure scan.csv manual.csv -o reports/scan
    """
    from retseg.commands.evaluation_report import print_evaluation, report_console
    from retseg.evaluation.matching import Measuring, pair_files, read_spacing, read_subjects

    measuring = Measuring(
        spacing=None if spacing is None else read_spacing(spacing),
        subjects=None if subjects is None else read_subjects(subjects),
        subject_pattern=None if subject_pattern is None else _pattern(subject_pattern),
        ignore_labels=tuple(ignore_label or ()),
    )
    pairing = pair_files(predictions, truth, second)
    evaluation = _measured(f"{predictions} against {truth}", pairing, measuring, draws, quiet)
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
