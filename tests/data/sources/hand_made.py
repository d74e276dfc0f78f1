"""A source of B-scans made by hand, with every optional field and with none: 12 rows, 20 columns."""

import numpy as np

from retseg.bscan import BScan, ScanKey, Spacing

NUM_ROWS, NUM_COLUMNS = 12, 20


class Scans:
    """A source of given B-scans."""

    name = "hand-made"
    label_origin = "exact"

    def __init__(self, scans: list[BScan], notices: tuple[str, ...] = ()) -> None:
        self._scans = {scan.key: scan for scan in scans}
        self.notices = notices

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        return tuple(sorted(self._scans))

    def read(self, key: ScanKey) -> BScan:
        return self._scans[key]


def scan(subject: str = "s01", bscan: int = 3, grader: int = 1, **fields: object) -> BScan:
    image = np.random.default_rng(bscan).integers(0, 256, (NUM_ROWS, NUM_COLUMNS), np.uint8)
    return BScan(ScanKey(grader, subject, bscan), fields.pop("image", image), **fields)


def everything() -> Scans:
    """All of the optional fields, none of them, and what lies between; two graders; s02 in float32."""
    rows = np.arange(8, dtype=np.float32)[:, None] + np.zeros((8, NUM_COLUMNS), np.float32)
    rows[2:5, 3:6] = np.nan
    mask = np.tile(np.arange(-1, 9 - 2, dtype=np.int8).repeat(2)[:NUM_ROWS, None], NUM_COLUMNS)
    fluid = mask == 3
    known = Spacing(3.87, 11.33, "data set")
    floats = np.linspace(0, 255, NUM_ROWS * NUM_COLUMNS, dtype=np.float32).reshape(NUM_ROWS, NUM_COLUMNS)
    scans = [
        scan(bscan=3, surface_rows=rows, mask=mask, fluid=fluid, spacing=known, eye="OD"),
        scan(bscan=3, grader=2, surface_rows=rows + 0.25, spacing=known, eye="OD"),
        scan(bscan=7),
        scan(bscan=11, mask=mask, spacing=Spacing(None, 11.33, "user"), eye="OS"),
        scan(bscan=11, grader=2, image=np.full((NUM_ROWS, NUM_COLUMNS), 9, np.uint8), fluid=fluid),
        scan("s02", 0, 0, image=floats, surface_rows=rows),
    ]
    return Scans(scans, ("two scans were left out",))
