"""The audit of a split too large to keep: scans that train are read block by block, compared, and forgotten."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from retseg.bscan import BScan, ScanKey
from retseg.data.audit import COMPARED, Audit, concluded
from retseg.data.audit_findings import Comparison, in_blocks
from retseg.data.audit_relations import AuditRecord, volume_ranks

MOST_COMPARED = 1000
"""Scans of a held-out side whose looks are compared with all others; of more so many are taken, evenly spaced."""


def stream_audit(
    read: Callable[[ScanKey], BScan],
    train: Sequence[ScanKey],
    val: Sequence[ScanKey],
    test: Sequence[ScanKey] = (),
    ids: bool = True,
    advance: Callable[[], None] = lambda: None,
    most_compared: int = MOST_COMPARED,
) -> Audit:
    """What `retseg.data.audit.audit` says of the scans of three sides, each read once a side; advance after each.

    Ids, pixels and labels are compared of all scans. Looks (mirrored and near copies) of those held out are compared
    with every other scan, too, or, where a held-out side has more than most_compared, of a sample of it. Kept are
    the sample's textures (33 kB each), a block of those that train, and 400 bytes a scan. ids=False: see AuditRecorder.
    """

    def records(keys: Sequence[ScanKey]) -> Iterator[AuditRecord]:
        for key in keys:
            record = AuditRecord.of_scan(read(key))
            yield record if ids else replace(record, key=None)
            advance()

    sides = {side: _held(records(keys), len(keys), most_compared) for side, keys in (("val", val), ("test", test))}
    ranks = volume_ranks((*train, *val, *test) if ids else ())
    comparisons = {pair: Comparison(*pair, sides[pair[0]]) for pair in COMPARED if sides[pair[0]]}
    seen: list[AuditRecord] = []
    for block in in_blocks(records(train)):
        for (_, against), comparison in comparisons.items():
            if against == "train":
                comparison.add(block, ranks)
        seen += [record.without_texture() for record in block]
    for (_, against), comparison in comparisons.items():
        if against != "train":
            for block in in_blocks(sides[against]):
                comparison.add(block, ranks)
    is_sample = max(len(val), len(test)) > most_compared
    return concluded(list(comparisons.values()), {"train": seen, **sides}, ranks, "sample" if is_sample else "all")


def _held(records: Iterator[AuditRecord], num_records: int, most_compared: int) -> list[AuditRecord]:
    """Records of a held-out side, the textures of at most most_compared of them, evenly spaced."""
    step = max(-(-num_records // most_compared), 1)
    return [record if place % step == 0 else record.without_texture() for place, record in enumerate(records)]
