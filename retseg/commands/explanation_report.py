"""What `retseg explain` says on the screen: a line a method and layer, then the verdicts."""

from collections.abc import Sequence
from math import isnan

from rich import box
from rich.table import Table

from retseg.commands.evaluation_report import report_console
from retseg.commands.explained_scans import ExplainedScans
from retseg.explain.beyond_baselines import BASELINES, MIN_SUBJECTS, Verdict
from retseg.explain.summary import MapSummary, Mean
from retseg.explain.trial import MapVerdict

NOTES = (
    "overlap: of a map's hottest pixels, as many as the layer is predicted to have, with those; 0 chance, 1 the same.",
    "repeats: maps that say no more than the prediction, by overlap or rank correlation; above every map in maps.csv.",
    "heat in the layer, in the two next to it, and elsewhere, by the labels (without labels: by the prediction).",
    "context: share of the heat outside the layer as it is predicted. distance: mean, along the A-scan, of the heat.",
    "peak: share of the maps whose hottest pixel lies in the layer (pointing game).",
)


def print_explanation(scans: ExplainedScans, summaries: Sequence[MapSummary], score: str) -> None:
    """A row a method and layer: redundancy and localisation, means over subjects."""
    console = report_console()
    subjects = len({key.subject for key in scans.keys})
    console.print(f"\n{scans.title}, labels: {scans.label_origin}; {scans.stamp}")
    table = Table(
        title=f"{len(scans.names)} scan(s) of {subjects} subject(s), maps of the 7 layers of the retina together;\n"
        f"Y: {score}; means over subjects [95 % interval]",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    for name, right in (("method", 0), ("layer", 0), ("repeats", 1), ("overlap", 1), ("in layer", 1), ("next", 1),
                        ("elsewhere", 1), ("context", 1), ("distance", 1), ("peak", 1)):  # fmt: skip
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for one in summaries:
        means = one.means
        beside = means["in_above"].value + means["in_below"].value
        repeats = "-" if isnan(one.share_repeating) else f"{one.share_repeating:.0%}"
        distance = means["mean_distance"].value
        table.add_row(
            one.method,
            one.layer,
            repeats,
            _told(means["overlap_beyond_chance"]),
            f"{means['in_layer'].value:.2f}",
            f"{beside:.2f}",
            f"{means['elsewhere'].value:.2f}",
            f"{means['context'].value:.2f}",
            f"{distance:.0f} {one.unit}",
            f"{means['pointing'].value:.2f}",
        )
    console.print(table)
    for identity in dict.fromkeys(one.identity for one in summaries if one.identity):
        where = [f"{one.method} at {one.layer}" for one in summaries if one.identity == identity]
        console.print(f"by arithmetic, whatever the training: {', '.join(where)}: {identity}", style="bold")
    if blank := sum(one.blank for one in summaries):
        console.print(f"{blank} maps have no heat at all: nothing at that layer raises the score")
    for note in NOTES:
        console.print(f"  {note}", style="dim")


def print_trial(
    found: Sequence[MapVerdict], summaries: Sequence[MapSummary], num_scans: int, num_subjects: int
) -> None:
    """A row a method and layer: faithful, sane, stable, and more than the prediction, or not."""
    console = report_console()
    shares = {(one.method, one.layer): one.share_repeating for one in summaries}
    table = Table(
        title=f"Are they worth looking at? Tests on {num_scans} scan(s) of {num_subjects} subject(s), layers together",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    tests = [test for test, measure in found[0].faithful if measure == "dice"]
    sanity, stability = list(found[0].sanity), list(found[0].stability)
    for name in ("method", "layer", *(f"beats in\n{test}" for test in tests), *sanity, "stable", "repeats"):
        table.add_column(name, no_wrap=name in ("method", "layer"), overflow="fold")
    for one in found:
        steady = [f"{_short(test)} {rank:.2f}" for test, (_, rank) in one.stability.items()]
        share = shares[one.method, one.layer]
        table.add_row(
            one.method,
            one.layer,
            *(_beaten(one.faithful[test, "dice"]) for test in tests),
            *(f"{one.sanity[test].outcome} ({one.sanity[test].final:.2f})" for test in sanity),
            ("yes: " if one.is_stable else "no: ") + ", ".join(steady),
            "-" if isnan(share) else f"{share:.0%}",
        )
    console.print(table)
    if num_subjects < MIN_SUBJECTS:
        console.print(f"{MIN_SUBJECTS} subjects are needed to compare with baselines, here are {num_subjects}")
    console.print(
        "  beats: by the area under the layer's Dice, of random maps of the same grain, the scan's edges, and the\n"
        "  prediction, those where the 95 % interval over subjects of the paired difference lies above 0.\n"
        "  sanity: rank correlation with the map after the last step; passes below 0.5 and having fallen by 0.3.\n"
        f"  stable: rank correlation with the map after {', '.join(stability)}; at or above 0.7 in all.",
        style="dim",
    )


def _beaten(verdict: Verdict) -> str:
    """The baselines that a map is more faithful than."""
    if any(verdict.comparisons[name].outcome == "unknown" for name in BASELINES):
        return "unknown"
    beaten = [name for name in BASELINES if verdict.comparisons[name].outcome == "better"]
    return "all three" if len(beaten) == len(BASELINES) else ", ".join(beaten) or "none"


def _told(mean: Mean) -> str:
    if isnan(mean.value):
        return "-"
    return f"{mean.value:.2f}" if isnan(mean.low) else f"{mean.value:.2f} [{mean.low:.2f}, {mean.high:.2f}]"


def _short(test: str) -> str:
    """The first telling word of a test's name."""
    return {"left-right flip": "flip", "another training seed": "seed", "the other grader": "grader"}.get(test, "noise")
