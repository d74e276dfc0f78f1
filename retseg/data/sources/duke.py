"""The Duke DME set as its authors publish it: `Subject_01.mat` to `Subject_10.mat`.

Chiu et al., "Kernel regression based segmentation of optical coherence tomography images with diabetic macular
edema", Biomed. Opt. Express 6(4):1172, 2015, doi 10.1364/BOE.6.001172.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from retseg.anatomy import NUM_SURFACES, SURFACE_NAMES
from retseg.bscan import Array, BScan, ScanKey, Spacing
from retseg.data.sources.download import DUKE_PAGE, DUKE_URL, download_duke
from retseg.data.sources.mat import Variable, check_variable, list_variables, read_variable
from retseg.data.sources.pixels import gray_levels
from retseg.data.sources.tally import Tally
from retseg.errors import InputError

DUKE_SPACING = Spacing(3.87, 11.33, "data set (Chiu et al. 2015, mean lateral)")
OFFICIAL_SHAPE = (496, 768, 61)
"""(H, W, B): rows, columns and B-scans of every official file."""

_FILE_NAME = re.compile(r"Subject_(\d\d)\.mat")


class DukeSource:
    """B-scans of `Subject_XX.mat` files (MATLAB v5 or v7.3), once for each grader who annotated them.

    A B-scan is annotated where its surfaces hold numbers in at least min_columns columns; the others are left out and
    counted. Rows are 1-based in the files, 0-based here. Repairs, each counted in `notices` and refused if strict:
    rows outside the image become unknown (NaN), and where surfaces cross `paint_mask` gives the pixels no class.
    Fluid is None on slices that hold NaN alone or where the file has none; single NaN pixels are no fluid. With
    fluid=False it is not read at all, which is most of the time that reading takes, and None everywhere.
    Opening reads the surfaces, no pixels. With download, an empty or missing root is filled first.
    """

    name = "Duke DME"

    def __init__(
        self,
        root: str | Path,
        graders: Iterable[int] = (1, 2),
        strict: bool = False,
        expected_subjects: int = 10,
        fluid: bool = True,
        min_columns: int = 1,
        label_origin: str = "manual",
        spacing: Spacing = DUKE_SPACING,
        download: bool = False,
        url: str = DUKE_URL,
        sha256: str | None = None,
    ) -> None:
        self.root, self.label_origin, self.spacing = Path(root), label_origin, spacing
        self._graders, self._strict, self._min_columns = tuple(graders), strict, min_columns
        self._reads_fluid = fluid
        if not self._graders or not set(self._graders) <= {1, 2}:
            raise InputError(f"graders {self._graders}: the files hold graders 1 and 2; use data.source.graders=[1,2]")
        if download and not _subject_files(self.root):
            download_duke(self.root, url, sha256)
        self._files = _subject_files(self.root)
        if not self._files:
            raise InputError(_nothing_found(self.root))
        self._tally = Tally()
        self._fluids: dict[str, tuple[int, ...]] = {}
        self._surfaces: dict[ScanKey, Array] = {}
        for subject, path in self._files.items():
            self._open_subject(subject, path)
        if not self._surfaces:
            raise InputError(f"{self.root}: no B-scan has {min_columns} annotated columns; get the files again")
        self._keys = tuple(sorted(self._surfaces))
        missing = [f"{n:02d}" for n in range(1, expected_subjects + 1) if f"s{n:02d}" not in self._files]
        lost = f"subjects {', '.join(missing)} of {expected_subjects} are missing: no Subject_XX.mat in {self.root}"
        self._notices = ((lost,) if missing else ()) + self._tally.lines(len(self._files))
        self._cache: dict[str, dict[int, tuple[Array, dict[int, Array]]]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the pixels: a loader worker reads its own."""
        return self.__dict__ | {"_cache": {}}

    @property
    def keys(self) -> tuple[ScanKey, ...]:
        """All annotated B-scans, sorted."""
        return self._keys

    @property
    def notices(self) -> tuple[str, ...]:
        """Missing subjects, scans left out, surfaces that cross or leave the image, gaps: one line each."""
        return self._notices

    def read(self, key: ScanKey) -> BScan:
        """The B-scan of a key; its arrays are the caller's own. InputError where pixels break a rule."""
        if key not in self._surfaces:
            raise InputError(f"{self.root}: no annotated B-scan {key.name}; the first is {self._keys[0].name}")
        if key.subject not in self._cache:
            self._cache[key.subject] = self._read_pixels(key.subject)
        image, fluids = self._cache[key.subject][key.bscan]
        fluid = fluids[key.grader].copy() if key.grader in fluids else None
        return BScan(key, image.copy(), self._surfaces[key].copy(), None, fluid, self.spacing)

    def _open_subject(self, subject: str, path: Path) -> None:
        """Surfaces of one file, for each grader; what its declared shapes must agree on."""
        variables = list_variables(path)
        shape = check_variable(path, variables, "images", 3)
        if shape != OFFICIAL_SHAPE:
            self._tally.add(f"{{files}}: images {shape}, the official files have {OFFICIAL_SHAPE}", path.name)
        for grader in self._graders:
            layers = self._layers(path, variables, grader, shape)
            annotated = np.flatnonzero(np.isfinite(layers).any(axis=0).sum(axis=0) >= self._min_columns)
            left_out = shape[2] - len(annotated)
            self._tally.add(f"grader {grader}: {{counts}} B-scans without annotation left out", path.name, left_out)
            for bscan in annotated.tolist():
                key = ScanKey(grader, subject, bscan)
                self._surfaces[key] = np.ascontiguousarray(layers[:, :, bscan], np.float32)
        lookers = self._graders if self._reads_fluid else ()
        self._fluids[subject] = tuple(g for g in lookers if self._has_fluid(path, variables, g, shape))

    def _layers(self, path: Path, variables: dict[str, Variable], grader: int, shape: tuple[int, ...]) -> Array:
        """0-based surface rows (S, W, B) of one grader, float64, NaN where unknown; repairs counted."""
        name = f"manualLayers{grader}"
        expected = (NUM_SURFACES, *shape[1:])
        found = check_variable(path, variables, name, 3)
        if found != expected:
            raise InputError(f"{path}: {name} has the shape {found}, images {shape}; expected {expected} surface rows")
        layers = read_variable(path, name).astype(np.float64) - 1  # the files count rows from 1, as MATLAB does
        if np.isinf(layers).any():
            place = _first(np.isinf(layers))
            raise InputError(f"{path}, {name}, {place}: infinite row, expected a number or NaN; get the file again")
        outside = (layers < -0.5) | (layers >= shape[0] - 0.5)  # as painting rounds
        self._repaired(outside, "rows outside the image, set to unknown", path, name)
        layers[outside] = np.nan
        crossing = layers < np.fmax.accumulate(layers, axis=0)
        self._repaired(crossing, "surfaces that cross, pixels between them get no class", path, name)
        known = np.isfinite(layers)
        gaps = known.any(axis=0) & ~known.all(axis=0)
        self._tally.add(f"{name}: {{counts}} columns with some surfaces known and some not", path.name, int(gaps.sum()))
        return layers

    def _repaired(self, wrong: Array, what: str, path: Path, name: str) -> None:
        """Count rows (S, W, B) that break a rule, by columns, or refuse the first of them if strict."""
        if self._strict and wrong.any():
            raise InputError(f"{path}, {name}, {_first(wrong)}: {what}; refused by data.source.strict=true")
        self._tally.add(f"{name}: {{counts}} columns have {what}", path.name, int(wrong.any(axis=0).sum()))

    def _has_fluid(self, path: Path, variables: dict[str, Variable], grader: int, shape: tuple[int, ...]) -> bool:
        """Whether the file holds fluid regions by this grader (the official files do)."""
        name = f"manualFluid{grader}"
        if name not in variables:
            self._tally.add(f"{{files}}: no {name}, fluid unknown for grader {grader}", path.name)
            return False
        if (found := check_variable(path, variables, name, 3)) != shape:
            raise InputError(f"{path}: {name} has the shape {found}, images {shape}; expected the same")
        return True

    def _read_pixels(self, subject: str) -> dict[int, tuple[Array, dict[int, Array]]]:
        """For each annotated B-scan of a subject: its image (H, W), and fluid (H, W) bool by grader."""
        path = self._files[subject]
        bscans = sorted({key.bscan for key in self._keys if key.subject == subject})
        volume = read_variable(path, "images")
        images = {b: gray_levels(volume[:, :, b], f"{path}, B-scan {b}") for b in bscans}
        fluids: dict[int, dict[int, Array]] = {b: {} for b in bscans}
        for grader in self._fluids[subject]:
            regions = read_variable(path, f"manualFluid{grader}")
            for b in bscans:
                if not np.isnan(regions[:, :, b]).all():
                    fluids[b][grader] = np.ascontiguousarray(regions[:, :, b] > 0)
        return {b: (images[b], fluids[b]) for b in bscans}


def _subject_files(root: Path) -> dict[str, Path]:
    """`Subject_XX.mat` by subject name `sXX`, sorted. InputError where the folder cannot be listed."""
    try:
        if not root.exists():
            return {}
        matches = [(_FILE_NAME.fullmatch(path.name), path) for path in sorted(root.iterdir())]
    except OSError as error:
        raise InputError(f"{root}: cannot be listed as a folder of Subject_XX.mat files ({error.strerror})") from error
    return {f"s{match[1]}": path for match, path in matches if match}


def _nothing_found(root: Path) -> str:
    inside = sorted({path.parent for path in root.glob("*/Subject_*.mat")})
    if inside:
        return f"{root}: no Subject_XX.mat here, but there are some in {inside[0]}; use data.root={inside[0]}"
    return (
        f"{root}: {'no Subject_XX.mat here' if root.exists() else 'no such folder'}; get the files from {DUKE_PAGE}, "
        f"by `retseg data download {root}` or data.download=true, or try retseg without them by data=phantom"
    )


def _first(wrong: Array) -> str:
    """Where the first wrong row of (S, W, B) is, in words."""
    surface, column, bscan = np.argwhere(wrong)[0].tolist()
    return f"B-scan {bscan}, {SURFACE_NAMES[surface]}, column {column}"
