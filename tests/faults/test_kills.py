"""SIGKILL where it hurts, and SIGTERM, and a full disk: nothing is lost. `python -m benchmarks.kills` draws moments."""

import errno
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.kills_content import content, differences
from benchmarks.kills_process import Ended, Moment, run
from benchmarks.kills_whole import broken, leftovers
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.atomic import FullDiskError, remove_partial, replacing_file, replacing_folder
from retseg.inference.shipped import shipped_weights
from tests.conftest import TINY

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
ALL = ("mask", "surfaces", "thickness", "tables", "maps", "nifti")


def in_one_thread(task: Callable[[], None]) -> Callable[[], None]:
    """A task for a forked process, which must not wait for PyTorch's threads: they stay in the process forked from."""

    def alone() -> None:
        torch.set_num_threads(1)
        task()

    return alone


def train_main() -> None:
    from retseg.train import main

    main()


def retseg_main() -> None:
    from retseg.__main__ import main

    main()


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and a volume of three B-scans."""
    folder = tmp_path_factory.mktemp("scans")
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=3, height=96, width=128)
    images = [
        Image.fromarray(np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8)) for key in phantom.keys[:5]
    ]
    for name, image in zip("ab", images, strict=False):
        image.save(folder / f"{name}.png")
    images[2].save(folder / "volume.tif", save_all=True, append_images=images[3:])
    return folder


Predict = Callable[..., Ended]


@pytest.fixture
def predict(scans: Path, tmp_path: Path) -> Predict:
    """Runs `retseg predict` on the scans in a forked process; moment: of a SIGKILL."""

    def predicted(out: Path, moment: Moment | None = None, task: Callable[[], None] = retseg_main) -> Ended:
        words = ["predict", str(scans), "-o", str(out), "--save", ",".join(ALL), "--predict-anyway", "--jobs", "1"]
        words += ["--spacing", "3.87,11.33", "--bscan-distance", "120"]
        return run(in_one_thread(task), ["retseg", *words], out, tmp_path / "output.log", moment)

    return predicted


@pytest.fixture(scope="module")
def undisturbed(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an undisturbed prediction of the scans holds."""
    folder = tmp_path_factory.mktemp("undisturbed")
    words = ["predict", str(scans), "-o", str(folder / "out"), "--save", ",".join(ALL), "--predict-anyway"]
    words += ["--jobs", "1", "--spacing", "3.87,11.33", "--bscan-distance", "120"]
    assert run(in_one_thread(retseg_main), ["retseg", *words], folder / "out", folder / "output.log").code == 0
    return content(folder / "out")


def test_a_prediction_killed_in_mid_volume_goes_on_and_loses_no_whole_scan(
    predict: Predict, undisturbed: dict[str, str], tmp_path: Path
):
    out = tmp_path / "out"
    killed = predict(out, Moment(write=1, file="rename volume_b001_thickness.csv"))
    assert killed.code == -signal.SIGKILL
    assert broken(out) == []
    first = out / "volume" / "volume_b000_mask.png"
    old = first.stat().st_mtime_ns
    ended = predict(out)
    assert ended.code == 0
    assert "3 of 5 scans are done already, kept" in ended.output
    assert first.stat().st_mtime_ns == old
    assert (broken(out), leftovers(out)) == ([], [])
    assert differences(undisturbed, content(out)) == []
