"""The page: one HTML file with its pictures, style and script inside, which asks for nothing from anywhere."""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from retseg import __version__
from retseg.anatomy import CLASSES, LAYERS
from retseg.evaluation.fluid_output import DEFINITIONS as FLUID_DEFINITIONS
from retseg.report.colours import VERDICT_COLOURS
from retseg.report.facts import (
    PARTS,
    commands,
    coverages,
    environment_facts,
    glance,
    leaks,
    quoted,
    run_facts,
    split_subjects,
)
from retseg.report.heat import HeatPanel, heat_panels, names_of_tests, summary_rows
from retseg.report.marks import COLUMNS, FORMULA, LONGEST_COMMENT, VERDICTS, Mark
from retseg.report.notices import notices
from retseg.report.plots import curve_charts, reliability_charts, score_charts, style_of
from retseg.report.run_folder import ReportedRun
from retseg.report.scans import ShownScan, choose_scans, shown_scans
from retseg.report.tables import OVERLAP, SURFACES, THICKNESS, confusion_of, score_table
from retseg.report.thickness import MOST_SUBJECTS, SIDES, SLABS, SlabMaps, slab_maps, subject_thickness

KINDS = {
    "prediction": "prediction",
    "truth": "truth",
    "second": "second grader",
    "difference": "difference",
    "none": "scan alone",
}
"""What may lie over a scan, by its name in planes."""
SIGNS = {"pass": "✓", "check": "?", "fail": "✗"}


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What takes time to make: scans, thickness by unit, and heat maps."""

    scans: Sequence[ShownScan]
    thickness: Sequence[Sequence[SlabMaps]]
    heat: Sequence[HeatPanel]


def draw_pictures(
    runs: Sequence[ReportedRun], num_scans: int, with_pixels: bool, advance: Callable[[], None]
) -> Pictures:
    """All pictures of runs; advance is told after each of the three kinds. InputError where a file is damaged."""
    scans = shown_scans(runs, num_scans, with_pixels)
    advance()
    measured = [one for run in runs for one in subject_thickness(run)]
    units = dict.fromkeys(one.unit for one in measured)
    thickness = [slab_maps([one for one in measured if one.unit == unit]) for unit in units]
    advance()
    heat = [panel for run in runs for panel in heat_panels(run, list(choose_scans(run, 1)), with_pixels)]
    advance()
    return Pictures(scans, thickness, heat)


def render(
    runs: Sequence[ReportedRun], pictures: Pictures, marks: Sequence[Mark], with_pixels: bool, made_on: str
) -> str:
    """The page as HTML. made_on: the day, as it is printed."""
    environment = _environment()
    script, style = (files("retseg.report").joinpath("templates", name).read_text("utf-8") for name in ASSETS)
    digest = b64encode(sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template("page.html.j2").render(
        **_of_runs(runs),
        **_of_pictures(pictures, with_pixels),
        marks=marks,
        mark_of={(mark.run, mark.scan): mark for mark in marks},
        notices=notices(runs, with_pixels),
        with_pixels=with_pixels,
        made_on=made_on,
        version=__version__,
        script=Markup(script),
        script_digest=digest,
        style=Markup(style),
        settings={"columns": COLUMNS, "verdicts": VERDICTS, "formula": FORMULA.pattern, "signs": SIGNS},
        longest_comment=LONGEST_COMMENT,
    )


ASSETS = ("page.js", "page.css")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("retseg.report", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["hex"] = lambda colour: f"#{bytes(colour).hex()}"
    environment.filters["quoted"] = quoted
    environment.filters["coded"] = coded
    environment.globals |= {
        "classes": CLASSES,
        "layers": LAYERS,
        "kinds": KINDS,
        "verdicts": VERDICTS,
        "verdict_colours": VERDICT_COLOURS,
        "signs": SIGNS,
        "parts": PARTS,
        "slabs": SLABS,
        "sides": SIDES,
        "fluid_definitions": FLUID_DEFINITIONS,
    }
    return environment


def coded(text: str) -> Markup:
    """Text with what stands between backticks as code; all of it is escaped."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
                           for place, part in enumerate(parts))  # fmt: skip


def _of_runs(runs: Sequence[ReportedRun]) -> Mapping[str, Any]:
    """What is read off run folders, without pictures."""
    scored = [run for run in runs if run.evaluation is not None]
    return {
        "runs": runs,
        "scored": scored,
        "styles": {run.letter: style_of(run) for run in runs},
        "glance": glance(runs),
        "facts": {run.letter: run_facts(run) for run in runs},
        "split_subjects": {run.letter: split_subjects(run) for run in runs},
        "leaks": {run.letter: leaks(run) for run in runs},
        "environments": {run.letter: environment_facts(run) for run in runs},
        "commands": {run.letter: commands(run) for run in runs},
        "score_charts": score_charts(runs),
        "tables": [[score_table(scored, one) for one in group] for group in (OVERLAP, SURFACES, THICKNESS)],
        "curve_charts": curve_charts(runs),
        "confusions": [confusion_of(run) for run in runs],
        "reliability": {run.letter: reliability_charts(run) for run in runs},
        "coverages": {run.letter: coverages(run) for run in runs},
        "summaries": {run.letter: summary_rows(run.explained) for run in runs if run.explained is not None},
        "verdict_tests": {run.letter: names_of_tests(run.explained) for run in runs if run.explained is not None},
    }


def _of_pictures(pictures: Pictures, with_pixels: bool) -> Mapping[str, Any]:
    panels = [panel for shown in pictures.scans for panel in shown.panels]
    found = {kind for panel in panels for kind in panel.kinds}
    return {
        "scans": pictures.scans,
        "thickness": pictures.thickness,
        "most_subjects": MOST_SUBJECTS,
        "heat": pictures.heat,
        "kinds_there": [kind for kind in KINDS if kind in found or kind == "none"],
        "without_pixels": with_pixels and any(not panel.pixels for panel in panels),
    }
