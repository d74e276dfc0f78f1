"""Which scans train and which validate. A split is a list of keys and a hash; making one reads no pixels."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from retseg.bscan import ScanKey
from retseg.errors import InputError

Splitter = Callable[[Sequence[ScanKey]], "Split"]


@dataclass(frozen=True)
class Protocol:
    """Where a split was published, and what its scores are taken on: `retseg evaluate` keeps to the columns.

    columns: first and last + 1 of the scan's own columns, 0-based; None: all that are annotated.
    """

    source: str
    columns: tuple[int, int] | None = None
    surfaces: str = "all 8"
    scale: str = "the scan's own pixel size"

    def __post_init__(self) -> None:
        """InputError where the columns are no range."""
        if self.columns is not None and (len(self.columns) != 2 or not 0 <= self.columns[0] < self.columns[1]):
            raise InputError(f"split.protocol.columns: {list(self.columns)}, expected first and last + 1, 0-based")

    def as_dict(self) -> dict[str, Any]:
        """The fields, in JSON's types."""
        columns = None if self.columns is None else list(self.columns)
        return {"source": self.source, "columns": columns, "surfaces": self.surfaces, "scale": self.scale}


@dataclass(frozen=True)
class Split:
    """Keys that train, that validate, and that are kept for the end (test), with the rule that made them."""

    rule: str
    train: tuple[ScanKey, ...]
    val: tuple[ScanKey, ...]
    settings: dict[str, Any] = field(default_factory=dict)
    test: tuple[ScanKey, ...] = ()
    protocol: Protocol | None = None

    @property
    def scored(self) -> tuple[ScanKey, ...]:
        """What a run is judged by: the test scans, or those of validation where no scan is kept for a test."""
        return self.test or self.val

    @property
    def shared_scans(self) -> tuple[ScanKey, ...]:
        """Scored keys whose very B-scan (whoever annotated it) also trains."""
        trained = {key.scan_name for key in self.train}
        return tuple(key for key in self.scored if key.scan_name in trained)

    @property
    def shared_subjects(self) -> tuple[str, ...]:
        """Subjects on both sides, training and what is scored."""
        return tuple(sorted({key.subject for key in self.train} & {key.subject for key in self.scored}))

    @property
    def stamp(self) -> str:
        """Words that go beside every score: "leaky split: ...", or "subjects apart" where none is on both sides."""
        if not self.shared_subjects:
            return f"subjects apart ({len({key.subject for key in self.scored})} held out)"
        side = "test" if self.test else "validation"
        return (
            f"leaky split: {len(self.shared_scans)} of {len(self.scored)} {side} B-scans are also in training, "
            f"{len(self.shared_subjects)} subjects are on both sides"
        )

    @property
    def sha256(self) -> str:
        """Hash of the members: two runs with the same hash trained and validated on the same keys."""
        members = {side: sorted(key.name for key in getattr(self, side)) for side in self._sides}
        return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()

    @property
    def _sides(self) -> tuple[str, ...]:
        return ("train", "val", "test") if self.test else ("train", "val")

    def save(self, path: Path) -> None:
        """Write members, rule, protocol, stamp and hash as JSON."""
        content = {
            "rule": self.rule,
            "settings": self.settings,
            "stamp": self.stamp,
            "sha256": self.sha256,
            "num_train": len(self.train),
            "num_val": len(self.val),
            "num_test": len(self.test),
            "protocol": None if self.protocol is None else self.protocol.as_dict(),
            "shared_scans": [key.name for key in self.shared_scans],
            "shared_subjects": list(self.shared_subjects),
            **{side: [key.name for key in getattr(self, side)] for side in ("train", "val", "test")},
        }
        path.write_text(json.dumps(content, indent=1) + "\n")


def checked(split: Split) -> Split:
    """The split, unless nothing trains or nothing validates."""
    for side in ("train", "val"):
        if not getattr(split, side):
            raise InputError(
                f"split={split.rule}: no scan is left for {side} with {split.settings}; hold out other subjects"
            )
    return split


@dataclass(frozen=True)
class PaperSplit:
    """The paper's split: 20 % of the images at random, seed 42, with no regard to subjects. Leaky by construction.

    Image order is grader 1 then grader 2, each subject by subject; over 220 images it gives the paper's 176 / 44,
    as scikit-learn's `train_test_split(test_size=0.2, random_state=42)` does.
    """

    val_fraction: float = 0.2
    seed: int = 42
    protocol: Protocol | None = None

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        if not 0 < self.val_fraction < 1:
            raise InputError(f"split.val_fraction: {self.val_fraction}, expected a number between 0 and 1")
        ordered = sorted(keys)
        num_val = int(np.ceil(self.val_fraction * len(ordered)))
        order = np.random.RandomState(self.seed).permutation(len(ordered))
        val, train = order[:num_val], order[num_val:]
        settings = {"val_fraction": self.val_fraction, "seed": self.seed}
        sides = (_pick(ordered, train), _pick(ordered, val))
        return checked(Split("paper", *sides, settings, protocol=self.protocol))


@dataclass(frozen=True)
class SubjectHoldout:
    """Whole subjects validate, the others train. Subjects by name ("s03") or number (3)."""

    subjects: Sequence[int | str]

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        held_out = subject_names(self.subjects)
        return _split_by_subject("subject_holdout", keys, held_out, {"subjects": sorted(held_out)})


@dataclass(frozen=True)
class SubjectKFold:
    """Fold number `fold` (from 0) of `num_folds`: subjects in seeded random order, dealt out in turn.

    With `repeats`, fold goes on: from num_folds on it counts the folds of a second deal in another order, and so on.
    """

    num_folds: int = 5
    fold: int = 0
    seed: int = 0
    repeats: int = 1

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        subjects = sorted({key.subject for key in keys})
        if not 2 <= self.num_folds <= len(subjects):
            raise InputError(f"split.num_folds: {self.num_folds}, expected 2 to {len(subjects)} (one subject a fold)")
        if not 0 <= self.fold < self.num_folds * self.repeats:
            raise InputError(f"split.fold: {self.fold}, expected 0 to {self.num_folds * self.repeats - 1}")
        deal, place = divmod(self.fold, self.num_folds)
        order = np.random.default_rng(self.seed + deal).permutation(len(subjects))
        held_out = {subjects[i] for i in order[place :: self.num_folds]}
        settings = {"num_folds": self.num_folds, "fold": self.fold, "seed": self.seed, "subjects": sorted(held_out)}
        return _split_by_subject("subject_kfold", keys, held_out, settings)


@dataclass(frozen=True)
class LeaveOneSubjectOut:
    """One subject validates, all others train: `split.subject` by name ("s03") or number (3)."""

    subject: int | str

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        held_out = subject_names([self.subject])
        return _split_by_subject("leave_one_subject_out", keys, held_out, {"subjects": sorted(held_out)})


@dataclass(frozen=True)
class FewShot:
    """num_scans B-scans train, of as many other subjects as there are; whole subjects validate; the rest is not used.

    B-scans are drawn by seed, subjects in turn; of more than one grader, all of a B-scan's keys train.
    """

    num_scans: int = 5
    subjects: Sequence[int | str] = (3, 4, 9)
    seed: int = 0

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split the keys; those that are not used are on no side."""
        held_out = subject_names(self.subjects)
        refuse_unknown_subjects("few_shot", keys, held_out)
        rng = np.random.default_rng(self.seed)
        of_subjects: dict[str, list[str]] = {}
        for name, subject in sorted({(key.scan_name, key.subject) for key in keys if key.subject not in held_out}):
            of_subjects.setdefault(subject, []).append(name)
        subjects = [str(subject) for subject in rng.permutation(sorted(of_subjects))]
        orders = {subject: [str(name) for name in rng.permutation(of_subjects[subject])] for subject in subjects}
        longest = max((len(order) for order in orders.values()), default=0)
        in_turn = [orders[s][turn] for turn in range(longest) for s in subjects if turn < len(orders[s])]
        if not 1 <= self.num_scans <= len(in_turn):
            raise InputError(f"split.num_scans: {self.num_scans}, expected 1 to {len(in_turn)}, the B-scans left")
        chosen = set(in_turn[: self.num_scans])
        train = tuple(key for key in sorted(keys) if key.scan_name in chosen)
        val = tuple(key for key in sorted(keys) if key.subject in held_out)
        settings = {"num_scans": self.num_scans, "subjects": sorted(held_out), "seed": self.seed}
        return checked(Split("few_shot", train, val, settings))


def subject_names(subjects: Sequence[int | str]) -> set[str]:
    """Names ("s03") of subjects given by name or by number (3)."""
    return {f"s{subject:02d}" if isinstance(subject, int) else subject for subject in subjects}


def refuse_unknown_subjects(rule: str, keys: Sequence[ScanKey], subjects: set[str]) -> None:
    """InputError for a subject that the data does not have."""
    known = {key.subject for key in keys}
    if unknown := subjects - known:
        raise InputError(
            f"split={rule}: no subject {', '.join(sorted(unknown))}; the data has {', '.join(sorted(known))}"
        )


def _split_by_subject(rule: str, keys: Sequence[ScanKey], held_out: set[str], settings: dict[str, Any]) -> Split:
    refuse_unknown_subjects(rule, keys, held_out)
    ordered = sorted(keys)
    train = tuple(key for key in ordered if key.subject not in held_out)
    val = tuple(key for key in ordered if key.subject in held_out)
    return checked(Split(rule, train, val, settings))


def _pick(keys: Sequence[ScanKey], indices: Any) -> tuple[ScanKey, ...]:
    return tuple(keys[i] for i in indices)
