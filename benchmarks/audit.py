"""Planted copies: of 20 of each kind among 110 scans, how many the audit finds, and how many false alarms it gives.

Run `python -m benchmarks.audit`, with `--duke DIR` also on the real scans; half a minute each.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from rich.table import Table

from retseg.bscan import Array, BScan, ScanKey
from retseg.data.audit import Audit, audit
from retseg.data.audit_relations import AuditRecord, relate
from retseg.data.fingerprint import fingerprint
from retseg.data.source import ScanSource
from retseg.data.sources.duke import DukeSource
from retseg.data.sources.phantom import PhantomSource
from retseg.data.transforms import AnnotationCrop, Crop

Change = Callable[[Array, int, np.random.Generator], Array]
SIZES = ((256, 256), (128, 128), (324, 750), (96, 160), (64, 96))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--duke", type=Path, help="folder of Subject_01.mat to Subject_10.mat")
    folder = parser.parse_args().duke
    print_proof("phantom, 216 x 500", PhantomSource())
    if folder is not None:
        source = DukeSource(folder, graders=(1,), fluid=False)
        print_proof("Duke pixels, 496 x 768 with wedges", source)
        print_proof("Duke pixels, crop of 216 x 500", source, AnnotationCrop())


def resized(image: Array, size: tuple[int, int], antialias: bool = True) -> Array:
    """Image (H, W) bilinear at another size, float32."""
    plane = torch.from_numpy(image.astype(np.float32))[None, None]
    return F.interpolate(plane, size=size, mode="bilinear", antialias=antialias)[0, 0].numpy()


def levels(image: Array) -> Array:
    """Gray levels uint8: rounded and clipped, as a file would hold them."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def gain(image: Array, number: int, _: np.random.Generator) -> Array:
    return levels(image * (0.5, 0.8, 1.25, 1.7)[number % 4])


def gamma_offset(image: Array, number: int, _: np.random.Generator) -> Array:
    return levels(255 * (image / 255) ** (0.5, 0.7, 1.4, 2.0)[number % 4] + (25, -15)[number % 2])


def noise(image: Array, _: int, rng: np.random.Generator) -> Array:
    return levels(image + rng.normal(0, 20, image.shape))


def mirror(image: Array, number: int, _: np.random.Generator) -> Array:
    return (image[:, ::-1], image[::-1], image[::-1, ::-1])[(0, 0, 1, 2)[number % 4]]


def resize(image: Array, number: int, _: np.random.Generator) -> Array:
    return levels(resized(image, SIZES[number % len(SIZES)]))


def resize_plainly(image: Array, number: int, _: np.random.Generator) -> Array:
    return levels(resized(image, SIZES[number % 3], antialias=False))


def everything(image: Array, number: int, rng: np.random.Generator) -> Array:
    return gain(resize(image[:, ::-1], number, rng), number + 1, rng)


CHANGES: dict[str, tuple[str, Change]] = {
    "identical": ("identical", lambda image, *_: image.copy()),
    "identical, as float64": ("identical", lambda image, *_: image.astype(np.float64)),
    "mirrored": ("mirrored", mirror),
    "resized": ("near", resize),
    "resized without antialiasing": ("near", resize_plainly),
    "gain": ("near", gain),
    "gamma and offset": ("near", gamma_offset),
    "noise, sd 20": ("near", noise),
    "mirrored, resized and gain": ("mirrored", everything),
}
"""What is planted, and the kind of finding that it should be."""


@dataclass(frozen=True)
class Found:
    """Of num planted copies: found at all, as the right kind, and with how many wrong partners."""

    planted: str
    num: int
    found: int
    as_kind: int
    wrong_partners: int


def plant(images: Sequence[Array], train: Sequence[int], num: int, seed: int = 0) -> tuple[list[Found], int, int]:
    """Plants num copies of training images of each kind; what is found by content alone.

    Also the pairs of different images that are called copies, and how many pairs of different images there are.
    """
    rng = np.random.default_rng(seed)
    records = [AuditRecord(str(i), fingerprint(image)) for i, image in enumerate(images)]
    training = [records[i] for i in train]
    rows = []
    for name, (kind, change) in CHANGES.items():
        picked = rng.choice(len(train), num, replace=False)
        copies = [AuditRecord(name, fingerprint(change(images[train[j]], n, rng))) for n, j in enumerate(picked)]
        relations = relate(copies, training, {})
        own = np.zeros((num, len(train)), bool)
        own[np.arange(num), picked] = True
        of_kind = {"identical": relations.same_pixels, "mirrored": relations.mirrored, "near": relations.near}[kind]
        counts = (int((pairs & own).sum()) for pairs in (relations.copies, of_kind))
        rows.append(Found(name, num, *counts, int((relations.copies & ~own).sum())))
    copies_of_others = np.triu(relate(records, records, {}).copies, 1)
    return rows, int(copies_of_others.sum()), len(images) * (len(images) - 1) // 2


def second_graders(scans: Sequence[BScan]) -> list[BScan]:
    """The same B-scans as another grader would label them: every surface half a pixel deeper."""
    return [
        BScan(ScanKey(2, scan.key.subject, scan.key.bscan), scan.image, scan.surface_rows + np.float32(0.5))
        for scan in scans
        if scan.surface_rows is not None
    ]


def by_ids(scans: Sequence[BScan], places: Sequence[int]) -> tuple[Audit, Audit]:
    """Two audits of the scans at some places of each volume, against scans of the same volumes.

    First as a second grader labels them, against all scans; then as they are, against the scans that are left.
    """
    subjects: dict[str, list[BScan]] = {}
    for scan in scans:
        subjects.setdefault(scan.key.subject, []).append(scan)
    held = [volume[place] for volume in subjects.values() for place in places]
    names = {scan.key for scan in held}
    everybody = [AuditRecord.of_scan(scan) for scan in scans]
    rest = [record for record in everybody if record.key not in names]
    graded = audit(everybody, [AuditRecord.of_scan(scan) for scan in second_graders(held)])
    return graded, audit(rest, [record for record in everybody if record.key in names])


def print_proof(title: str, source: ScanSource, crop: Crop | None = None) -> None:
    console = Console(soft_wrap=True)
    scans = [source.read(key) for key in source.keys]
    scans = scans if crop is None else [crop(scan) for scan in scans]
    held_out = set(sorted({scan.key.subject for scan in scans})[::4])
    train = [i for i, scan in enumerate(scans) if scan.key.subject not in held_out]
    start = perf_counter()
    rows, false_alarms, num_pairs = plant([scan.image for scan in scans], train, num=20)
    seconds = perf_counter() - start
    heading = f"{title}: {len(scans)} scans, {len(train)} train; ids say nothing ({seconds:.0f} s)"
    table = Table(title=heading, title_justify="left")
    for column in ("planted", "found", "as that kind", "wrong partners"):
        table.add_column(column, justify="left" if column == "planted" else "right")
    for row in rows:
        cells = (f"{row.found} of {row.num}", f"{row.as_kind} of {row.num}", str(row.wrong_partners))
        table.add_row(row.planted, *cells)
    graded, moved = by_ids(scans, places=(3, 7))
    grader, neighbours, same = (
        graded.finding("other_grader"),
        moved.finding("neighbours"),
        moved.finding("same_subject"),
    )
    table.add_row("other grader, by ids", f"{grader.by_ids} of {grader.total}", "", "")
    table.add_row("other grader, by content", f"{grader.by_content} of {grader.total}", "", "")
    table.add_row("neighbouring B-scan, by ids", f"{neighbours.by_ids} of {neighbours.total}", "", "")
    table.add_row("same subject, by ids", f"{same.by_ids} of {same.total}", "", "")
    copies = moved.finding("copies")
    table.add_row("neighbouring B-scan, by content", f"{copies.by_content} of {copies.total}", "", "")
    console.print(table)
    console.print(f"false alarms: {false_alarms} of {num_pairs} pairs of different scans\n")


if __name__ == "__main__":
    main()
