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
class Split:
    """Keys that train and keys that validate, with the rule that made them."""

    rule: str
    train: tuple[ScanKey, ...]
    val: tuple[ScanKey, ...]
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def shared_scans(self) -> tuple[ScanKey, ...]:
        """Validation keys whose very B-scan (whoever annotated it) also trains."""
        trained = {key.scan_name for key in self.train}
        return tuple(key for key in self.val if key.scan_name in trained)

    @property
    def shared_subjects(self) -> tuple[str, ...]:
        """Subjects on both sides."""
        return tuple(sorted({key.subject for key in self.train} & {key.subject for key in self.val}))

    @property
    def stamp(self) -> str:
        """Words that go beside every score: "leaky split: ...", or "subjects apart" where none is on both sides."""
        if not self.shared_subjects:
            return f"subjects apart ({len({key.subject for key in self.val})} held out)"
        return (
            f"leaky split: {len(self.shared_scans)} of {len(self.val)} validation B-scans are also in training, "
            f"{len(self.shared_subjects)} subjects are on both sides"
        )

    @property
    def sha256(self) -> str:
        """Hash of the members: two runs with the same hash trained and validated on the same keys."""
        members = {side: sorted(key.name for key in getattr(self, side)) for side in ("train", "val")}
        return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write members, rule, stamp and hash as JSON."""
        content = {
            "rule": self.rule,
            "settings": self.settings,
            "stamp": self.stamp,
            "sha256": self.sha256,
            "num_train": len(self.train),
            "num_val": len(self.val),
            "shared_scans": [key.name for key in self.shared_scans],
            "shared_subjects": list(self.shared_subjects),
            "train": [key.name for key in self.train],
            "val": [key.name for key in self.val],
        }
        path.write_text(json.dumps(content, indent=1) + "\n")


def _checked(split: Split) -> Split:
    """The split, unless one side is empty."""
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

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        if not 0 < self.val_fraction < 1:
            raise InputError(f"split.val_fraction: {self.val_fraction}, expected a number between 0 and 1")
        ordered = sorted(keys)
        num_val = int(np.ceil(self.val_fraction * len(ordered)))
        order = np.random.RandomState(self.seed).permutation(len(ordered))
        val, train = order[:num_val], order[num_val:]
        settings = {"val_fraction": self.val_fraction, "seed": self.seed}
        return _checked(Split("paper", _pick(ordered, train), _pick(ordered, val), settings))


@dataclass(frozen=True)
class SubjectHoldout:
    """Whole subjects validate, the others train. Subjects by name ("s03") or number (3)."""

    subjects: Sequence[int | str]

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        held_out = {f"s{s:02d}" if isinstance(s, int) else s for s in self.subjects}
        return _split_by_subject("subject_holdout", keys, held_out, {"subjects": sorted(held_out)})


@dataclass(frozen=True)
class SubjectKFold:
    """Fold number `fold` (from 0) of `num_folds`: subjects in seeded random order, dealt out in turn."""

    num_folds: int = 5
    fold: int = 0
    seed: int = 0

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        subjects = sorted({key.subject for key in keys})
        if not 2 <= self.num_folds <= len(subjects):
            raise InputError(f"split.num_folds: {self.num_folds}, expected 2 to {len(subjects)} (one subject a fold)")
        if not 0 <= self.fold < self.num_folds:
            raise InputError(f"split.fold: {self.fold}, expected 0 to {self.num_folds - 1}")
        order = np.random.default_rng(self.seed).permutation(len(subjects))
        held_out = {subjects[i] for i in order[self.fold :: self.num_folds]}
        settings = {"num_folds": self.num_folds, "fold": self.fold, "seed": self.seed, "subjects": sorted(held_out)}
        return _split_by_subject("subject_kfold", keys, held_out, settings)


def _split_by_subject(rule: str, keys: Sequence[ScanKey], held_out: set[str], settings: dict[str, Any]) -> Split:
    known = {key.subject for key in keys}
    if unknown := held_out - known:
        raise InputError(
            f"split={rule}: no subject {', '.join(sorted(unknown))}; the data has {', '.join(sorted(known))}"
        )
    ordered = sorted(keys)
    train = tuple(key for key in ordered if key.subject not in held_out)
    val = tuple(key for key in ordered if key.subject in held_out)
    return _checked(Split(rule, train, val, settings))


def _pick(keys: Sequence[ScanKey], indices: Any) -> tuple[ScanKey, ...]:
    return tuple(keys[i] for i in indices)
