"""Our own files, read: one HDF5 file per subject, one B-scan a chunk, as `hdf5_convert` wrote them from any source."""

from pathlib import Path

import numpy as np

from retseg.anatomy import IGNORE, NUM_CLASSES
from retseg.bscan import BScan, ScanKey
from retseg.data.sources.hdf5_index import read_folder
from retseg.data.sources.hdf5_subject import STACKS, SubjectTable, read_arrays, read_subject
from retseg.errors import InputError


class Hdf5Source:
    """B-scans of a folder of `.h5` files that `convert` wrote, or of one such file, as the first source gave them.

    Opening reads the tables alone, from the folder's index where there is one. A file is open for the length of one
    `read` (under a millisecond to open), so no handle is pickled, crosses a fork or is shared by workers. Links, and
    values kept in other files, are refused.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        tables, told = self._read_tables()
        if not tables:
            raise InputError(
                f"{root}: no .h5 file here; make some with `retseg data convert -o {root}`, or use data=phantom"
            )
        first = tables[0]
        self.name, self.label_origin = first.source_name, first.label_origin
        self._places: dict[ScanKey, tuple[SubjectTable, int]] = {}
        for table in tables:
            found = (table.source_name, table.label_origin)
            if found != (self.name, self.label_origin):
                expected = (self.name, self.label_origin)
                raise InputError(f"{table.path}: scans of {found}, but {first.path} has {expected}; keep them apart")
            for row, key in enumerate(table.keys):
                if key in self._places:
                    other = self._places[key][0].path
                    raise InputError(f"{table.path}: {key.name} is there twice, also in {other}; keep one file")
                self._places[key] = (table, row)
        self._keys = tuple(sorted(self._places))
        self._notices = tuple(dict.fromkeys([*told, *(line for table in tables for line in table.notices)]))

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All B-scans, sorted."""
        return self._keys

    @property
    def notices(self) -> tuple[str, ...]:
        """What the first source had to say when it was converted; before it, if the index cannot be used."""
        return self._notices

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key. InputError where the file is damaged or holds labels that nobody can have drawn."""
        if key not in self._places:
            raise InputError(f"{self.root}: no B-scan {key.name} among its {len(self._keys)}")
        table, row = self._places[key]
        path = table.path
        arrays = read_arrays(table, row, tuple(STACKS))
        mask, surface_rows = arrays.get("masks"), arrays.get("surface_rows")
        if mask is not None and (mask.min() < IGNORE or mask.max() >= NUM_CLASSES):
            raise InputError(
                f"{path}, {key.name}: labels {mask.min()}..{mask.max()}, expected {IGNORE}..{NUM_CLASSES - 1}"
            )
        if surface_rows is not None and np.isinf(surface_rows).any():
            raise InputError(f"{path}, {key.name}: an infinite surface row, expected numbers or NaN; convert again")
        return BScan(
            key, arrays["images"], surface_rows, mask, arrays.get("fluids"), table.spacing(row), table.eye(row)
        )

    def _read_tables(self) -> tuple[list[SubjectTable], tuple[str, ...]]:
        if self.root.is_dir():
            return read_folder(self.root)
        return ([read_subject(self.root)] if self.root.exists() else []), ()
