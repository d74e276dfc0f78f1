"""Pairs of label files as scans to be scored: matched by stem, brought to one grid, with subject and pixel size."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.evaluation.case import Case
from retseg.evaluation.label_files import Labels, label_files, read_labels
from retseg.evaluation.labelling import Labelling

RETSEG_NAME = re.compile(r"(.+)_b\d+(_g\d)?")
"""Names that retseg gives: subject, B-scan, grader."""
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Pairing:
    """Files by stem, of all that have both a prediction and a truth; unmatched: a line for each kind left over."""

    predictions: Mapping[str, Path]
    truths: Mapping[str, Path]
    seconds: Mapping[str, Path]
    names: tuple[str, ...]
    unmatched: tuple[str, ...]


def pair_files(predictions: Path, truth: Path, second: Path | None = None) -> Pairing:
    """Match files by stem (two single files are a pair whatever their names). InputError where nothing matches."""
    found, true = label_files(predictions), label_files(truth)
    seconds = label_files(second) if second is not None else {}
    if predictions.is_file() and truth.is_file():
        name = truth.stem
        found, true = {name: predictions}, {name: truth}
        seconds = {name: second} if second is not None and second.is_file() else seconds
    names = tuple(sorted(found.keys() & true.keys()))
    if not names:
        raise InputError(
            f"{predictions}: no file has the stem of one in {truth} (first {min(found)} and {min(true)}); "
            "rename them alike"
        )
    unmatched = []
    for what, place, files, others in (
        ("without truth", predictions, found, true),
        ("without prediction", truth, true, found),
        ("without truth", second, seconds, true),
    ):
        if left := sorted(files.keys() - others.keys()):
            shown = ", ".join(left[:5]) + (", ..." if len(left) > 5 else "")
            unmatched.append(f"{place}: {len(left)} of {len(files)} files {what}, not scored: {shown}")
    return Pairing(found, true, seconds, names, tuple(unmatched))


@dataclass(frozen=True, slots=True)
class Measuring:
    """What the user says of the files: pixel size (None: what the files say), subjects, labels that mean nothing."""

    spacing: Spacing | None = None
    subjects: Mapping[str, str] | None = None
    subject_pattern: re.Pattern[str] | None = None
    ignore_labels: tuple[int, ...] = ()

    def subject_of(self, name: str, labels: Labels) -> str:
        """Whose scan this is; UNKNOWN where nothing says. InputError where the user's own rule does not cover it."""
        if self.subjects is not None:
            if name not in self.subjects:
                raise InputError(f"--subjects: no row for scan {name}; add one, or leave the option out")
            return self.subjects[name]
        if self.subject_pattern is not None:
            match = self.subject_pattern.search(name)
            if match is None:
                raise InputError(f"--subject-pattern: {self.subject_pattern.pattern} is not in {name}; change it")
            return match[1] if match.re.groups else match[0]
        retseg_name = RETSEG_NAME.fullmatch(name)
        return labels.subject or (retseg_name[1] if retseg_name else UNKNOWN)


def paired_case(pairing: Pairing, measuring: Measuring, name: str) -> Case:
    """A scan to be scored. InputError where sizes differ or a file breaks a rule."""
    truth = read_labels(pairing.truths[name], measuring.ignore_labels)
    found = read_labels(pairing.predictions[name], measuring.ignore_labels)
    second = pairing.seconds.get(name)
    others = [found] if second is None else [found, read_labels(second, measuring.ignore_labels)]
    num_rows = _num_rows([truth, *others])
    labellings = [_labelling(labels, num_rows) for labels in (truth, *others)]
    for labels, labelling in zip(others, labellings[1:], strict=True):
        _refuse_another_size(labels, labelling, truth, labellings[0])
    return Case(
        name=name,
        subject=measuring.subject_of(name, truth),
        prediction=labellings[1],
        truth=labellings[0],
        second=labellings[2] if second is not None else None,
        spacing=measuring.spacing or truth.spacing or found.spacing or Spacing(),
        image=truth.image if truth.image is not None and truth.image.shape == labellings[0].shape else None,
    )


def _num_rows(labels: Sequence[Labels]) -> int:
    """H: that of the first mask; surfaces alone: as many as hold them all, and one more."""
    for one in labels:
        if one.mask is not None:
            return int(one.mask.shape[0])
    deepest = [np.nanmax(one.surface_rows, initial=0) for one in labels if one.surface_rows is not None]
    return int(np.ceil(max(deepest))) + 2


def _labelling(labels: Labels, num_rows: int) -> Labelling:
    if labels.mask is None:
        assert labels.surface_rows is not None
        return Labelling.from_surfaces(labels.surface_rows, num_rows)
    if labels.surface_rows is None:
        return Labelling.from_mask(labels.mask)
    if labels.surface_rows.shape[1] != labels.mask.shape[1]:
        columns = labels.surface_rows.shape[1], labels.mask.shape[1]
        raise InputError(f"{labels.path}: surfaces of {columns[0]} columns, mask of {columns[1]}; expected the same")
    return Labelling(labels.mask, labels.surface_rows)


def _refuse_another_size(labels: Labels, found: Labelling, truth: Labels, true: Labelling) -> None:
    if found.shape != true.shape:
        sizes = " x ".join(map(str, found.shape)), " x ".join(map(str, true.shape))
        raise InputError(
            f"{labels.path}: {sizes[0]} (rows x columns), but {truth.path} is {sizes[1]}; bring them to one grid"
        )


def read_subjects(path: Path) -> dict[str, str]:
    """Subject by scan, from a CSV with the columns scan and subject. InputError where it has none."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); expected the columns scan, subject") from error
    if not rows or not {"scan", "subject"} <= rows[0].keys():
        found = ", ".join(str(name) for name in rows[0]) if rows else "nothing"
        raise InputError(f"{path}: found {found:.200}, expected a table with the columns scan, subject")
    for number, row in enumerate(rows, start=2):
        if None in (row["scan"], row["subject"]):
            raise InputError(f"{path}, row {number}: no scan or no subject in it; correct the row")
    return {row["scan"]: row["subject"] for row in rows}


def read_spacing(text: str) -> Spacing:
    """Pixel size from "AXIAL,LATERAL" in um; one number is the axial one alone. InputError for anything else."""
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) not in (1, 2) or not all(np.isfinite(um) and um > 0 for um in sizes):
        raise InputError(f"--spacing {text}: expected AXIAL,LATERAL in um, e.g. 3.87,11.33")
    return Spacing(sizes[0], sizes[1] if len(sizes) == 2 else None, "user")
