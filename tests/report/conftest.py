from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from retseg.report.marks import Mark
from retseg.report.page import draw_pictures, render
from retseg.report.run_folder import ReportedRun, read_runs
from tests.report.drawn_run import draw_run


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with every part; tests leave it as it is."""
    return draw_run(tmp_path_factory.mktemp("runs") / "full")


@pytest.fixture(scope="session")
def bare_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder with what training leaves, and no more."""
    return draw_run(tmp_path_factory.mktemp("runs") / "bare", parts=())


def read(*folders: Path) -> list[ReportedRun]:
    """Runs of folders."""
    configs: list[Mapping[str, Any]] = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in folders]
    return read_runs(folders, configs)


@pytest.fixture(scope="session")
def page_of() -> Callable[..., str]:
    """Makes the page of run folders."""

    def make(*folders: Path, marks: Sequence[Mark] = (), with_pixels: bool = True, num_scans: int = 1) -> str:
        runs = read(*folders)
        return render(runs, draw_pictures(runs, num_scans, with_pixels, lambda: None), marks, with_pixels, "2026-01-31")

    return make
