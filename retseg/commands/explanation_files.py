"""What `retseg explain` writes: maps as NPZ, tables as CSV and JSON, each whole or not at all."""

import csv
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from retseg import __version__
from retseg.anatomy import CLASS_NAMES
from retseg.bscan import Array
from retseg.commands.explained_scans import ExplainedScans, SeenScan
from retseg.commands.scored_run import ScoredRun
from retseg.evaluation.atomic import replacing_file
from retseg.evaluation.json_files import write_object
from retseg.explain.beyond_baselines import mean_interval, subject_means
from retseg.explain.engine import Explanation
from retseg.explain.image_grid import centres_px
from retseg.explain.records import RECORD_COLUMNS, MapRecord
from retseg.explain.summary import MEASURES, MapSummary
from retseg.explain.trial import MapVerdict, Trial, TriedScan

EXPLANATION = "explanation.json"
TABLES = ("maps", "summary", "curves", "sanity", "stability", "verdicts")


def clear_earlier(folder: Path) -> None:
    """Take away what an earlier call left in a folder, so that no verdict of other maps stands beside the new ones."""
    if not (folder / EXPLANATION).is_file():
        return
    for name in (EXPLANATION, *(f"{table}.csv" for table in TABLES)):
        (folder / name).unlink(missing_ok=True)
    for name in ("maps", "figures"):
        shutil.rmtree(folder / name, ignore_errors=True)


def write_maps(path: Path, found: Explanation, scan: SeenScan) -> None:
    """One scan's maps. Of the scan: image, probabilities, labels, and where its pixels lie.

    rows_px (H,) and columns_px (W,) are the centres of the network's pixels in the scan's own; pixel_um is the size
    (axial, lateral) of the network's pixels, nan where unknown. By METHOD/LAYER: raw and normalised (C, h, w), raw_max
    (C,), weights (C, K) where the method weighs channels, and rows_px (h,), columns_px (w,) of the layer's pixels.
    """
    height, width = found.image_size
    arrays: dict[str, Array] = {
        "image": scan.image[0, 0].numpy(),
        "probabilities": found.probabilities[0].numpy(),
        "class_names": np.array(CLASS_NAMES),
        "pixel_um": np.array([scan.spacing.axial_um or np.nan, scan.spacing.lateral_um or np.nan]),
        "scale_from": np.array(scan.spacing.source),
        **_coordinates(scan, height, width),
    }
    if scan.mask is not None:
        arrays["labels"] = scan.mask.numpy().astype(np.int8)
    for (method, layer), maps in found.maps.items():
        place = f"{method}/{layer}"
        arrays |= {
            f"{place}/raw": maps.raw[0].numpy(),
            f"{place}/normalised": maps.normalised[0].numpy(),
            f"{place}/raw_max": maps.raw_max[0].numpy(),
        }
        if maps.weights is not None:
            arrays[f"{place}/weights"] = maps.weights[0].numpy()
        own = _coordinates(scan, maps.raw.shape[2], maps.raw.shape[3])
        arrays |= {f"{place}/{name}": values for name, values in own.items()}
    with replacing_file(path) as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]


def _coordinates(scan: SeenScan, height: int, width: int) -> dict[str, Array]:
    """Centres of (height, width) pixels of a layer in the scan's own rows and columns, 0-based."""
    network, place = scan.image.shape[2:], scan.place
    rows, columns = centres_px(network[0], height), centres_px(network[1], width)
    return {
        "rows_px": place.top + (rows + 0.5) * place.height / network[0] - 0.5,
        "columns_px": place.left + (columns + 0.5) * place.width / network[1] - 0.5,
    }


def write_tables(
    folder: Path,
    run: ScoredRun,
    scans: ExplainedScans,
    records: Sequence[MapRecord],
    summaries: Sequence[MapSummary],
    score: str,
) -> None:
    """maps.csv (a row a map), summary.csv (a row a method and layer) and explanation.json (what was explained)."""
    write_csv(folder / "maps.csv", RECORD_COLUMNS, (astuple(record) for record in records))
    names = ("method", "layer", "module", "num_maps", "repeating", "blank", "unit", "identity")
    bounds = tuple(f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high"))
    rows = (
        (*(getattr(one, name) for name in names), *(v for m in MEASURES for v in astuple(one.means[m])))
        for one in summaries
    )
    write_csv(folder / "summary.csv", (*names, *bounds), rows)
    content = {
        "retseg": __version__,
        "run": str(run.folder),
        "checkpoint": run.checkpoint,
        "weights_sha256": run.weights,
        "data": scans.title,
        "labels": scans.label_origin,
        "stamp": scans.stamp,
        "scans": list(scans.names),
        "score": score,
        "methods": list(dict.fromkeys(one.method for one in summaries)),
        "layers": {one.layer: one.module for one in summaries},
    }
    write_object(folder / EXPLANATION, content)


def write_trial(
    folder: Path,
    trial: Trial,
    tried: TriedScan,
    subjects: Sequence[str],
    found: Sequence[MapVerdict],
    summaries: Sequence[MapSummary],
) -> None:
    """curves.csv, sanity.csv, stability.csv (means over subjects) and verdicts.csv (a row a method and layer)."""
    write_csv(
        folder / "curves.csv",
        ("perturbation", "map", "share", "dice", "dice_low", "dice_high", "surface_error", "unit", "reference"),
        _curve_rows(tried, subjects),
    )
    write_csv(
        folder / "sanity.csv",
        ("test", "map", "step", "rank_correlation", "low", "high"),
        (
            (test, name, step, *mean_interval(subject_means(rank[:, 1:], subjects)))
            for test, maps in tried.sanity.items()
            for name, one in maps.items()
            for step, rank in zip(one.steps, one.similarity.rank.cpu().numpy(), strict=True)
        ),
    )
    write_csv(
        folder / "stability.csv",
        ("test", "map", "rank_correlation", "low", "high"),
        (
            (test, name, *mean_interval(subject_means(one.rank.cpu().numpy()[:, 1:], subjects)))
            for test, maps in tried.stability.items()
            for name, one in maps.items()
        ),
    )
    _write_verdicts(folder / "verdicts.csv", found, summaries)


def _curve_rows(tried: TriedScan, subjects: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for test, maps in tried.curves.items():
        for name, one in maps.items():
            for step, share in enumerate(one.shares):
                dice = mean_interval(subject_means(one.dice[:, 1:, step], subjects))
                error = mean_interval(subject_means(one.surface_error[:, 1:, step], subjects))[0]
                yield test, name, float(share), *dice, error, one.unit, one.reference


def _write_verdicts(path: Path, found: Sequence[MapVerdict], summaries: Sequence[MapSummary]) -> None:
    """A row a method and layer: every comparison, every test, and what the three questions are answered with."""
    by_map = {(one.method, one.layer): one for one in summaries}
    rows = []
    for one in found:
        row: dict[str, Any] = {"method": one.method, "layer": one.layer}
        for (test, measure), faithful in one.faithful.items():
            row[f"{test}, {measure}"] = faithful.words
            for baseline, comparison in faithful.comparisons.items():
                place = f"{test}, {measure}, gain over {baseline}"
                row |= {place: comparison.gain, f"{place}, low": comparison.low, f"{place}, high": comparison.high}
        for test, sane in one.sanity.items():
            row |= {test: sane.outcome, f"{test}, rank correlation": sane.final}
        for test, (outcome, rank) in one.stability.items():
            row |= {test: outcome, f"{test}, rank correlation": rank}
        row["share repeating the prediction"] = by_map[one.method, one.layer].share_repeating
        row |= {"faithful": one.is_faithful, "passes sanity": one.is_sane, "stable": one.is_stable}
        rows.append(row)
    write_csv(path, tuple(rows[0]), (tuple(row.values()) for row in rows))


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV, whole or not at all; nan is empty."""
    with replacing_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(["" if value != value else value for value in row] for row in rows)
