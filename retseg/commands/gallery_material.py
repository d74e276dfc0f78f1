"""What the figures of the gallery are drawn from: a network's answers on a few scans, and a phantom volume."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from retseg.commands.explained_scans import ExplainedScans, SeenScan
from retseg.commands.explanation_figures import Tried
from retseg.commands.open_network import open_scan_network
from retseg.commands.scored_run import choose_scans, open_run
from retseg.data.description import Description, describe
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.evaluation import Evaluation, Origin, ceiling_words, evaluate, measure_scans, with_label_origin
from retseg.evaluation.inference import Frame, Predictor, evaluating
from retseg.evaluation.temperature import cross_fitted
from retseg.explain.engine import Explanation, explain
from retseg.explain.layers import aliases, layer_names
from retseg.explain.records import JudgedMaps, judge_maps
from retseg.explain.score import PAPER_SCORE
from retseg.explain.summary import summarise
from retseg.explain.trial import Trial, pooled, try_scan, verdicts
from retseg.geometry.fovea import Fovea, find_fovea
from retseg.geometry.thickness import read_slab
from retseg.geometry.volume_map import BScanDistance, ThicknessMap, thickness_map
from retseg.inference.predicted import PredictedScan, PredictedVolume
from retseg.inference.shipped import shipped_weights
from retseg.inference.volume_tables import profiles_of
from retseg.training.history import read_history

METHOD = "gradcam"
LAYERS = ("conv2d_20", "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11")
NUM_TRIED, NUM_STEPS, SHARES, TRIED_SIZE = 3, 3, (0.0, 0.05, 0.15, 0.4), (128, 128)
NUM_DRAWS = 500
BSCAN_UM, NUM_BSCANS = 240.0, 25


@dataclass(frozen=True, eq=False)
class Material:
    """A network and its scans. history: rows of metrics.csv, None where no training is at hand."""

    title: str
    net: nn.Module
    scans: ExplainedScans
    history: Sequence[dict[str, str]] | None = None

    @cached_property
    def evaluation(self) -> Evaluation:
        """The scans, scored."""
        scans, source = self.scans, self.scans.source
        ceiling, note = ceiling_words(scans.label_origin)
        stamp = with_label_origin(scans.stamp, scans.label_origin)
        origin = Origin(self.title, stamp, source.name, scans.label_origin, ceiling, note)
        predictor = Predictor(self.net, source, scans.frame)
        with evaluating(self.net):
            measured = measure_scans(scans.keys, predictor.case)
        return evaluate(measured, origin, cross_fitted(measured.records), NUM_DRAWS)

    @cached_property
    def description(self) -> Description:
        """What the whole source holds."""
        return describe(self.scans.source)

    @cached_property
    def explained(self) -> tuple[SeenScan, Explanation, JudgedMaps]:
        """One scan with the maps of all classes at all layers."""
        scan = self.scans.read(len(self.scans.keys) // 2)
        found = explain(self.net, scan.image, self.layers, (METHOD,), PAPER_SCORE)
        return scan, found, _judged(scan, found)

    @property
    def layers(self) -> list[str]:
        """The paper's layers where the network has them, else its last activations."""
        known = aliases(self.net)
        return [name for name in LAYERS if name in known] or layer_names(self.net)[-6:]

    @cached_property
    def tried(self) -> Tried:
        """Tests of maps on a few scans, coarser than those of `retseg explain --check`."""
        size = self.scans.frame.size
        is_small = size is not None and size[0] * size[1] <= TRIED_SIZE[0] * TRIED_SIZE[1]
        scans = replace(self.scans, frame=replace(self.scans.frame, size=size if is_small else TRIED_SIZE))
        count = min(NUM_TRIED, len(self.scans.keys))
        chosen = [(2 * part + 1) * len(self.scans.keys) // (2 * count) for part in range(count)]
        trial = Trial(self.layers[1::3], (METHOD,), SHARES, NUM_STEPS)
        records, outcomes, subjects = [], [], []
        for index in chosen:
            scan = scans.read(index)
            found = explain(self.net, scan.image, trial.layers, trial.methods, PAPER_SCORE)
            records += _judged(scan, found).records
            mask = None if scan.mask is None else scan.mask[None]
            outcomes.append(
                try_scan(trial, self.net, scan.image, lambda _: PAPER_SCORE, mask, None, scan.spacing.axial_um, index)
            )
            subjects.append(scan.subject)
        together = pooled(outcomes)
        found_of_maps = verdicts(trial, together, subjects)
        return Tried(trial, together, subjects, found_of_maps, summarise(records), self.scans.stamp)

    @cached_property
    def volume(self) -> PredictedVolume:
        """A phantom volume with its exact surfaces, as `retseg predict` would have found them."""
        source = PhantomSource(num_subjects=1, bscans_per_subject=NUM_BSCANS, bscan_spacing_um=BSCAN_UM, seed=3)
        scans = []
        for number, key in enumerate(source.keys):
            scan = source.read(key)
            assert scan.surface_rows is not None
            unknown = np.full(scan.surface_rows.shape, np.nan, np.float32)
            image = np.clip(np.rint(scan.image), 0, 255).astype(np.uint8)
            scans.append(
                PredictedScan(scan.key.name, number, image, scan.surface_rows, unknown, unknown[0], scan.spacing)
            )
        distance = BScanDistance(BSCAN_UM, "phantom")
        return PredictedVolume(
            "phantom_OD", Path("phantom"), tuple(scans), NUM_BSCANS, source.spacing, distance, eye="OD",
            first_bscan="superior",
        )  # fmt: skip

    @cached_property
    def map(self) -> tuple[ThicknessMap, Fovea]:
        """Thickness of the phantom volume, and where its fovea is found."""
        grid = self.volume.grid()
        slab = read_slab("GCC")
        fovea = find_fovea(thickness_map(profiles_of(self.volume, [slab]), grid), slab.name)
        return thickness_map(profiles_of(self.volume), grid), fovea


def of_shipped() -> Material:
    """The network that comes with retseg, on phantom scans of two made-up graders that it was not trained on."""
    network = open_scan_network(shipped_weights())
    assert network.module is not None
    source = PhantomSource(num_subjects=4, bscans_per_subject=3, num_graders=2)
    scans = ExplainedScans(
        title=source.name,
        label_origin=source.label_origin,
        stamp="made-up scans; the network was trained on others",
        names=tuple(key.name for key in source.keys),
        frame=Frame(size=(256, 256)),
        source=source,
        keys=source.keys,
    )
    return Material("the network that comes with retseg", network.module, scans)


def of_run(folder: Path) -> Material:
    """A finished run on the scans that it is judged by. InputError where it is none, or its data is not there."""
    run = open_run(folder)
    chosen = choose_scans(run, None, ())
    names = tuple(key.name for key in chosen.keys)
    scans = ExplainedScans(
        chosen.source.name, chosen.source.label_origin, chosen.stamp, names, chosen.frame, chosen.source, chosen.keys
    )
    return Material(f"run {folder.resolve().name}", run.net, scans, read_history(folder / "metrics.csv"))


def _judged(scan: SeenScan, found: Explanation) -> JudgedMaps:
    sizes = [np.nan if um is None else um for um in (scan.spacing.axial_um, scan.spacing.lateral_um)]
    mask = None if scan.mask is None else scan.mask[None]
    return judge_maps(found, [scan.name], [scan.subject], mask, torch.tensor([sizes]))
