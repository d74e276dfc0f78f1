"""Figures of `retseg explain`: heat maps of scans, and how the maps fared in their tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retseg.anatomy import LAYERS
from retseg.bscan import Array
from retseg.commands.explained_scans import SeenScan
from retseg.evaluation.atomic import make_folder
from retseg.explain.beyond_baselines import mean_interval, subject_means
from retseg.explain.descriptions import describe_method
from retseg.explain.engine import Explanation
from retseg.explain.faithfulness import Curves
from retseg.explain.records import JudgedMaps, MapRecord
from retseg.explain.sanity import CONTROLS, RANK_BOUND, SanityTest
from retseg.explain.shared_maps import map_name
from retseg.explain.summary import MapSummary
from retseg.explain.trial import MapVerdict, Trial, TriedScan, random_name
from retseg.figures.explanations import Band, CurvePanel, Mark, VerdictRow, curves, similarity_steps, verdict_table
from retseg.figures.heatmap_rows import absent_classes, heatmap_row
from retseg.figures.heatmaps import heatmaps
from retseg.figures.overlay import Overlay, overlay
from retseg.figures.saving import save_png_and_pdf

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150


def draw_maps(folder: Path, found: Explanation, judged: JudgedMaps, scan: SeenScan, stamp: str) -> None:
    """SCAN_METHOD.png and .pdf: all classes at all layers."""
    make_folder(folder)
    for method in dict.fromkeys(method for method, _ in found.maps):
        save_png_and_pdf(maps_figure(found, judged, scan, method, stamp), folder / f"{scan.name}_{method}", DPI)


def maps_figure(found: Explanation, judged: JudgedMaps, scan: SeenScan, method: str, stamp: str) -> "Figure":
    """Maps of all classes at all layers by one method."""
    return heatmaps(
        scan.image[0, 0].numpy(),
        [heatmap_row(found, judged, method, layer) for other, layer in found.maps if other == method],
        title=f"Heat maps of {scan.name} by {method}",
        score=f"{found.score.describe()} ({stamp})",
        method=describe_method(method),
        notes=absent_classes(scan.mask, found.probabilities[0].argmax(0), found.probabilities.shape[1]),
    )


def draw_overlays(folder: Path, found: Explanation, judged: JudgedMaps, scan: SeenScan) -> None:
    """SCAN_METHOD_LAYER_CLASS.png and .pdf: each layer of the retina large, over its scan."""
    make_folder(folder)
    for record in judged.records:
        if record.class_id > 0:
            name = f"{scan.name}_{record.method}_{record.layer}_{record.class_name}".replace("/", "-")
            save_png_and_pdf(overlay_figure(found, judged, record, scan), folder / name, 100)


def overlay_figure(found: Explanation, judged: JudgedMaps, record: MapRecord, scan: SeenScan) -> "Figure":
    """One map large, over its scan."""
    shown = Overlay(
        image=scan.image[0, 0].numpy(),
        heat=judged.maps[record.method, record.layer][0, record.class_id].numpy(),
        predicted=(found.probabilities[0].argmax(0) == record.class_id).numpy(),
        layer=record.class_name,
        source=f"{record.method} at {record.layer} ({record.module}); Y: {found.score.describe()}",
        remark=record.stamp,
        spacing=scan.spacing,
    )
    return overlay(shown, scan.name)


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A trial and its outcome on scans of subjects, with all that stands in the captions."""

    trial: Trial
    together: TriedScan
    subjects: Sequence[str]
    found: Sequence[MapVerdict]
    summaries: Sequence[MapSummary]
    stamp: str

    @property
    def who(self) -> str:
        """What was pooled."""
        count = f"{len(self.subjects)} scans of {len(set(self.subjects))} subjects"
        return f"{count}, the {len(LAYERS)} layers together; {self.stamp}."


def draw_trial(folder: Path, tried: Tried) -> None:
    """verdicts, faithfulness_LAYER and randomisation_LAYER, as PNG and PDF."""
    make_folder(folder)
    save_png_and_pdf(verdict_figure(tried), folder / "verdicts", DPI)
    for layer in tried.trial.layers:
        save_png_and_pdf(faithfulness_figure(tried, layer), folder / f"faithfulness_{layer}", DPI)
        save_png_and_pdf(randomisation_figure(tried, layer), folder / f"randomisation_{layer}", DPI)


def verdict_figure(tried: Tried) -> "Figure":
    """What was found for each method and layer."""
    return verdict_table(_verdict_rows(tried.found, tried.summaries), _verdict_caption(tried.found, tried.who))


def faithfulness_figure(tried: Tried, layer: str) -> "Figure":
    """Curves of maps at one layer, a panel a perturbation."""
    curves_of = tried.together.curves
    panels = [_panel(test, maps, tried.trial, layer, tried.subjects) for test, maps in curves_of.items()]
    text = (
        f"Maps at {layer}: Dice of the layer that the map is of, as its hottest pixels are taken out of the scan "
        f"(deletion: blurred; ROAD: filled in from around) or put back (insertion), against the "
        f"{next(iter(next(iter(curves_of.values())).values())).reference}. Bands: 95 % bootstrap interval over "
        f"subjects. {tried.who}"
    )
    return curves(panels, text)


def randomisation_figure(tried: Tried, layer: str) -> "Figure":
    """Likeness of maps at one layer while weights are lost."""
    test = tried.together.sanity["random weights"]
    names = [map_name(method, layer) for method in tried.trial.methods]
    lines = [_steps_band(test[name], name.split(" at ")[0], tried.subjects) for name in names]
    lines += [_steps_band(test[name], name, tried.subjects, is_control=True) for name in CONTROLS]
    text = (
        f"Maps at {layer} against those of the trained network, while its weights are lost from the head down "
        f"(Adebayo et al. 2018). The edges know no network and must stay at 1; a map that stays high does not show "
        f"what was learned. {tried.who}"
    )
    return similarity_steps(test[names[0]].steps[1:], lines, "rank correlation", RANK_BOUND, text)


def _panel(test: str, maps: Mapping[str, Curves], trial: Trial, layer: str, subjects: Sequence[str]) -> CurvePanel:
    """One perturbation: maps of all methods at one layer, and the baselines."""
    bands = [_curve_band(maps[map_name(method, layer)], method, subjects) for method in trial.methods]
    bands += [_curve_band(maps[random_name(layer)], "random", subjects, is_baseline=True)]
    bands += [_curve_band(maps[name], name, subjects, is_baseline=True) for name in ("edge", "prediction")]
    first = maps[random_name(layer)]
    return CurvePanel(test, first.shares, bands, "Dice of the layer (0 to 1)", first.keeps_hottest, first.keeps_hottest)


def _curve_band(one: Curves, name: str, subjects: Sequence[str], is_baseline: bool = False) -> Band:
    return _band(np.moveaxis(one.dice[:, 1:], 2, 0), name, subjects, is_baseline)


def _steps_band(one: SanityTest, name: str, subjects: Sequence[str], is_control: bool = False) -> Band:
    return _band(one.similarity.rank.cpu().numpy()[:, :, 1:], name, subjects, is_control)


def _band(values: Array, name: str, subjects: Sequence[str], is_baseline: bool) -> Band:
    """Mean and interval over subjects (T,) of values (T, N, C)."""
    mean, low, high = np.array([mean_interval(subject_means(step, subjects)) for step in values]).T
    return Band(name, mean, low, high, is_baseline)


def _verdict_rows(found: Sequence[MapVerdict], summaries: Sequence[MapSummary]) -> list[VerdictRow]:
    shares = {(one.method, one.layer): one.share_repeating for one in summaries}
    return [VerdictRow(one.method, one.layer, _faithful(one), _sane(one), _redundant(shares[one.method, one.layer]))
            for one in found]  # fmt: skip


def _faithful(one: MapVerdict) -> Mark:
    """In how many of the perturbations the map beats all baselines."""
    tests = len({test for test, _ in one.faithful})
    if any(verdict.words.startswith("unknown") for verdict in one.faithful.values()):
        return Mark("?", "unknown")
    won = len(one.faithful_by)
    return Mark(f"{won} of {tests}", "good" if won == tests else "partly" if won else "bad")


def _sane(one: MapVerdict) -> Mark:
    """In how many of the sanity tests the map passes."""
    won = sum(test.outcome == "passes" for test in one.sanity.values())
    words = f"{won} of {len(one.sanity)}"
    return Mark(words, "good" if won == len(one.sanity) else "partly" if won else "bad")


def _redundant(share: float) -> Mark:
    """Share of the maps that repeat the prediction."""
    if np.isnan(share):
        return Mark("-", "unknown")
    return Mark(f"{share:.0%}", "good" if share < 0.1 else "partly" if share < 0.5 else "bad")


def _verdict_caption(found: Sequence[MapVerdict], who: str) -> str:
    tests = list(dict.fromkeys(test for test, _ in found[0].faithful))
    return (
        f"Faithful: in how many of {', '.join(tests)} the map keeps or destroys its layer's Dice better than random "
        f"maps of its grain, the scan's edges and the prediction, each by 95 % interval over subjects. Sanity: how "
        f"many of the tests ({', '.join(found[0].sanity)}) it passes. Repeats: share of maps that say no more than the "
        f"prediction (below 10 % speaks for the map, 50 % and more against). {who}"
    )
