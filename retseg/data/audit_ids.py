"""What a split leaks by its keys alone: told at once, whatever the number of scans, before any pixel is read."""

from collections.abc import Sequence

from retseg.bscan import ScanKey
from retseg.data.audit import COMPARED, Audit
from retseg.data.audit_findings import NUM_EXAMPLES, Finding


def audit_of_ids(train: Sequence[ScanKey], val: Sequence[ScanKey], test: Sequence[ScanKey] = ()) -> Audit:
    """Audit of the kinds "copies" and "subjects" by ids. Its stamp says that content has not been compared."""
    sides = {"train": train, "val": val, "test": test}
    findings: list[Finding] = []
    for side, against in COMPARED:
        if sides[side]:
            findings += _compare(side, against, sides[side], sides[against])
    return Audit(len(train), len(val), len(test), True, tuple(findings), content="not yet")


def _compare(side: str, against: str, held: Sequence[ScanKey], others: Sequence[ScanKey]) -> list[Finding]:
    first: dict[str, ScanKey] = {}
    for key in others:
        first.setdefault(key.scan_name, key)
    shared = [key for key in held if key.scan_name in first]
    examples = tuple(f"{key.name} ~ {first[key.scan_name].name}" for key in shared[:NUM_EXAMPLES])
    counts = (len(shared), len(held), "B-scans", len(shared), None, 0)
    subjects = {key.subject for key in held}
    both = sorted(subjects & {key.subject for key in others})
    told = (len(both), len(subjects), "subjects", len(both), None, 0)
    return [
        Finding("copies", side, against, *counts, examples),
        Finding("subjects", side, against, *told, tuple(both[:NUM_EXAMPLES])),
    ]
