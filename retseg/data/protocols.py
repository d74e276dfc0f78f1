"""Splits that others published, as far as whole B-scans can follow them, and splits read from a file."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retseg.bscan import ScanKey
from retseg.data.split_file import read_split_file
from retseg.data.splits import Protocol, Split, checked, refuse_unknown_subjects, subject_names
from retseg.errors import InputError


@dataclass(frozen=True)
class SubjectSets:
    """Subjects that train, that validate and that test, each named; the data must hold all of them.

    name is what the split is called in tables. Without val, the test subjects also choose the checkpoint, as in
    publications that name two sets only: scores on them are that much optimistic.
    """

    name: str
    train: Sequence[int | str]
    test: Sequence[int | str]
    val: Sequence[int | str] = ()
    protocol: Protocol | None = None

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys; subjects that no set names are left out."""
        sets = [subject_names(subjects) for subjects in (self.train, self.val or self.test, self.test)]
        if overlap := sets[0] & (sets[1] | sets[2]):
            raise InputError(f"split={self.name}: {', '.join(sorted(overlap))} would train and be scored; name it once")
        refuse_unknown_subjects(self.name, keys, set().union(*sets))
        train, val, test = (tuple(key for key in sorted(keys) if key.subject in subjects) for subjects in sets)
        settings = {"train": sorted(sets[0]), "val": sorted(sets[1]), "test": sorted(sets[2])}
        split = Split(self.name, train, val, settings, test if self.val else (), self.protocol)
        return checked(split)


@dataclass(frozen=True)
class SpreadOverSubjects:
    """A share of every subject's B-scans validates, picked at random; all graders of a B-scan stay together. Leaky.

    After Reddy et al. (CVIP 2018), who divide 770 strips of 64 columns, 540 to train and 230 to test, spread evenly
    over all patients. Here whole B-scans are divided: strips of one B-scan never fall on two sides.
    """

    name: str = "cvip2018"
    val_fraction: float = 230 / 770
    seed: int = 0
    protocol: Protocol | None = None

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split all keys."""
        if not 0 < self.val_fraction < 1:
            raise InputError(f"split.val_fraction: {self.val_fraction}, expected a number between 0 and 1")
        rng = np.random.default_rng(self.seed)
        ranked: list[tuple[int, str]] = []
        for subject in sorted({key.subject for key in keys}):
            scans = sorted({key.scan_name for key in keys if key.subject == subject})
            ranked += [(rank, scans[i]) for rank, i in enumerate(rng.permutation(len(scans)))]
        num_val = round(self.val_fraction * len(ranked))
        held_out = {scan for _, scan in sorted(ranked)[:num_val]}
        train = tuple(key for key in sorted(keys) if key.scan_name not in held_out)
        val = tuple(key for key in sorted(keys) if key.scan_name in held_out)
        settings = {"val_fraction": self.val_fraction, "seed": self.seed}
        return checked(Split(self.name, train, val, settings, protocol=self.protocol))


@dataclass(frozen=True)
class SplitFromFile:
    """Members listed in a JSON file under train, val and, if there is one, test: a run's own split.json, or yours.

    Members are names of annotated scans (s03_b10_g1), of B-scans (s03_b10, all graders), of subjects (s03), or
    positions in the sorted list of scans, which for Duke is the order of the paper's arrays.
    """

    path: str
    protocol: Protocol | None = None

    def __call__(self, keys: Sequence[ScanKey]) -> Split:
        """Split the keys that the file names; others are left out."""
        train, val, test = read_split_file(Path(self.path), keys)
        return checked(Split("from_file", train, val, {"path": self.path}, test, self.protocol))
