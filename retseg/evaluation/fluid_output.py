"""What an evaluation leaves of fluid: a section of metrics.json, and fluid_{scores,scans,subjects}.csv."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from retseg.evaluation.fluid import FluidEvaluation
from retseg.evaluation.fluid_record import THRESHOLD
from retseg.evaluation.fluid_scores import OVERLAPS, FluidScan
from retseg.metrics.fluid import dice, weighted_mean
from retseg.metrics.fluid_lesions import LEAST_COVER, LEAST_IOU, SIZES_UM2
from retseg.metrics.fluid_volume import area_mm2

TABLES = ("fluid_scores.csv", "fluid_scans.csv", "fluid_subjects.csv")
_SIZES = ", ".join(f"{name} from {low:,.0f} um2" for name, (low, _) in SIZES_UM2.items())

DEFINITIONS = {
    "found": f"probability of fluid at least {THRESHOLD}, a threshold fitted on no scan, on the scan's own grid",
    "scored": "pixels of the run's window (and the protocol's columns) where somebody looked: columns with annotated "
    "layers or with fluid; no others",
    "dice": "2 TP / (2 TP + FP + FN)",
    "iou, recall, precision": "TP / (TP + FP + FN), TP / (TP + FN), TP / (TP + FP)",
    "pooled": "of the pixels of all scans together",
    "mean_over_scans": "mean of the scans' own; a scan without fluid in both is left out (scans_empty), one with fluid "
    "on one side alone counts 0",
    "mean_over_scans_empty_is_1": "the same, a scan without fluid in both counting 1",
    "mean_over_subjects": "each subject's pooled score (volume: its error), then the mean of the subjects",
    "scans_empty": "scans without fluid in both",
    "scans_all_missed": "scans with fluid drawn and none found",
    "scans_false_alarm": "scans with fluid found and none drawn",
    "volume_signed, volume_absolute": "volume found - drawn of a subject, as areas in the scored B-scans x their "
    "distance; positive is too much",
    "agreement": "Bland and Altman 1986: bias and limits (1.96 sd of the differences) of volumes, one a subject and "
    "grader",
    "lesion": "a connected piece of fluid in one B-scan, corners included",
    "lesions_drawn, lesions_found": "how many there are",
    "lesion_recall_covered": f"share of lesions drawn of which {100 * LEAST_COVER:.0f} % or more was found",
    "lesion_precision_covered": f"share of lesions found of which {100 * LEAST_COVER:.0f} % or more was drawn",
    "lesion_recall_paired, lesion_precision_paired": f"share of lesions in a pair of IoU above {LEAST_IOU}",
    "sizes": f"area of the lesion itself, drawn for recall, found for precision: {_SIZES}",
    "interval": "95 % percentile bootstrap over subjects, all scans of a drawn subject together",
}
"""What each score of fluid is, in words."""


def fluid_content(fluid: FluidEvaluation) -> dict[str, Any]:
    """The section of metrics.json."""
    return {
        "label_origin": fluid.origin.label_origin,
        "threshold": THRESHOLD,
        "num_scans": len(fluid.scans),
        "bscan_distance_um": fluid.origin.distance_um,
        "bscan_distance_source": fluid.origin.distance_source,
        "definitions": DEFINITIONS,
        "scores": [asdict(score) for score in fluid.scores],
        "subjects": list(subject_rows(fluid)),
        "agreement_mm3": None if fluid.agreement is None else asdict(fluid.agreement),
        "published": [asdict(entry) for entry in fluid.published],
        "notices": fluid.notices,
    }


def fluid_tables(fluid: FluidEvaluation) -> dict[str, list[dict[str, Any]]]:
    """Rows of each of TABLES."""
    rows = ([asdict(score) for score in fluid.scores], list(scan_rows(fluid)), list(subject_rows(fluid)))
    return dict(zip(TABLES, rows, strict=True))


def scan_rows(fluid: FluidEvaluation) -> Iterator[dict[str, Any]]:
    """A row a scan: overlap, pixels, areas, lesions drawn and found and how many of each are hit."""
    for scan in fluid.scans:
        record = scan.record
        hits, false_alarms, misses = record.counts.tolist()
        row: dict[str, Any] = {"subject": scan.subject, "scan": scan.name}
        row |= {name: float(function(record.counts)) for name, function in OVERLAPS.items()}
        row |= {"hits_px": hits, "false_alarms_px": false_alarms, "misses_px": misses}
        row |= {"outside_px": record.num_outside}
        row |= {"drawn_mm2": area_mm2(record.true_px, record.pixel_um2)}
        row |= {"found_mm2": area_mm2(record.found_px, record.pixel_um2)}
        for side in ("drawn", "found"):
            lesions = getattr(record, side)
            row |= {f"lesions_{side}": len(lesions.area_px), f"lesions_{side}_covered": int(lesions.is_covered.sum())}
            row |= {f"lesions_{side}_paired": int(lesions.is_paired.sum())}
        yield row


def subject_rows(fluid: FluidEvaluation) -> Iterator[dict[str, Any]]:
    """A row a subject and grader: Dice both ways, and volume drawn, found, and its error in mm3."""
    for volume in fluid.volumes:
        own = [scan for scan in fluid.scans if (scan.subject, scan.grader) == (volume.subject, volume.grader)]
        counts = np.stack([scan.record.counts for scan in own])
        yield {
            "subject": volume.subject,
            "grader": volume.grader,
            "num_scans": len(own),
            "num_scans_with_fluid": sum(scan.record.true_px > 0 for scan in own),
            "dice_pooled": float(dice(counts.sum(axis=0))),
            "dice_mean_over_scans": float(weighted_mean(dice(counts), np.ones((1, len(own))))[0]),
            "drawn_mm2": _areas(own, "true_px"),
            "found_mm2": _areas(own, "found_px"),
            "drawn_mm3": volume.true_mm3,
            "found_mm3": volume.found_mm3,
            "error_mm3": volume.found_mm3 - volume.true_mm3,
        }


def _areas(scans: list[FluidScan], pixels: str) -> float:
    """Sum of the areas in scans, mm2."""
    return sum(area_mm2(getattr(scan.record, pixels), scan.record.pixel_um2) for scan in scans)
