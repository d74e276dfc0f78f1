"""What a reader must not overlook, in one line each: it stands at the top of the page."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from retseg.report.heat import SummaryRow, summary_rows
from retseg.report.run_folder import EVALUATION, EXPLANATION, ReportedRun

SAID_ALREADY = "the pixel size is unknown"
"""Begins the line of an evaluation that a grave notice says, too."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One line; letters: of the runs that it is of, none for all of them. is_grave: changes what the scores mean."""

    letters: tuple[str, ...]
    words: str
    is_grave: bool


def notices(runs: Sequence[ReportedRun], with_pixels: bool) -> list[Notice]:
    """Notices on all runs, grave ones first."""
    found = [*_on_pixels(runs, with_pixels), *_on_comparison(runs)]
    of_runs: dict[tuple[str, bool], list[str]] = {}
    for run in runs:
        for is_grave, lines in ((True, _grave(run)), (False, _minor(run))):
            for words in lines:
                of_runs.setdefault((words, is_grave), []).append(run.letter)
    found += [Notice(tuple(letters), words, is_grave) for (words, is_grave), letters in of_runs.items()]
    return sorted(found, key=lambda notice: not notice.is_grave)


def _on_pixels(runs: Sequence[ReportedRun], with_pixels: bool) -> Iterator[Notice]:
    real = sorted({run.scored_data for run in runs if run.evaluation is not None and not run.is_made_up})
    if with_pixels and real:
        words = (
            f"This page holds pixels of {', '.join(real)}: do not pass it on unless the terms of that data allow it."
        )
        yield Notice((), f"{words} `--no-pixels` makes one without.", True)


def _on_comparison(runs: Sequence[ReportedRun]) -> Iterator[Notice]:
    scored = [run for run in runs if run.evaluation is not None]
    if len({(run.scored_data, frozenset(run.scans)) for run in scored}) > 1:
        yield Notice(
            (), "The runs were scored on different scans: what differs between columns need not be the runs.", True
        )
    if len({run.label_origin for run in scored}) > 1:
        yield Notice((), "The runs were scored against labels of different origin.", True)
    if len(scored) > 1:
        folders = " ".join(shlex.quote(str(run.folder)) for run in scored)
        yield Notice(
            (), f"Columns side by side are no test of a difference; `retseg compare {folders}` makes one.", False
        )


def _grave(run: ReportedRun) -> Iterator[str]:
    if run.is_made_up:
        yield "Made-up scans (phantom): these scores say nothing of how the network does on a patient's eye."
    if run.label_origin not in ("manual", "exact"):
        yield (
            f"Labels are {run.label_origin}, not drawn by people: scores are agreement with whatever drew them, "
            "no accuracy, and may flatter."
        )
    is_leaky = bool(run.audit and run.audit["is_leaky"]) or "leaky" in run.stamp
    if is_leaky:
        yield f"Leaky split: scored scans are not independent of training ({run.stamp})."
    if run.audit is None:
        yield f"The split was not audited, so it may leak unseen; `{run.wanting('audit')}`."
    if run.evaluation is None:
        yield f"Not evaluated: no intervals, no microns, no scans to look at; `{run.wanting(EVALUATION)}`."
        return
    if run.unit == "px":
        yield "The scale of the scans is unknown: distances are in pixels, and no statement in microns is possible."
    if run.evaluation["checkpoint"].get("weights_sha256") != run.weights_sha256:
        yield f"The evaluation is of other weights than the run's best; `{run.wanting(EVALUATION)} --fresh`."
    if run.explained is not None:
        yield from _on_maps(run, summary_rows(run.explained))


def _on_maps(run: ReportedRun, rows: Sequence[SummaryRow]) -> Iterator[str]:
    assert run.explained is not None
    if run.explained.content.get("weights_sha256") not in (None, run.weights_sha256):
        yield f"The heat maps are of other weights than the run's best; `{run.wanting(EXPLANATION)}`."
    redundant = [f"{row.method} at {row.layer} ({row.share:.0%})" for row in rows if row.is_redundant]
    if redundant:
        yield (
            f"Redundant heat maps: {', '.join(redundant)} mostly repeat the prediction and explain nothing beyond it."
        )


def _minor(run: ReportedRun) -> Iterator[str]:
    if run.evaluation is not None:
        of_source = run.evaluation.get("source_notices", ())  # they stand among the facts of the run
        said = [
            str(line)
            for line in run.evaluation["notices"]
            if line not in of_source and not line.startswith(SAID_ALREADY)
        ]
        yield from (f"{line[:1].upper()}{line[1:]}." for line in said)
        if any(row.get("ceiling") is not None for row in run.evaluation["scores"]):
            ceiling = run.evaluation["ceiling"]
            yield f"“{ceiling['title']}”: {ceiling['note']}."
    if run.explained is not None and not run.explained.verdicts:
        yield f"Heat maps were not tested (faithful? sane? stable?); `{run.wanting(EXPLANATION)} --check`."
