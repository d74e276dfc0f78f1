"""What is killed: a training, a prediction of a folder, a sweep of three small jobs, each of seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from retseg.data.sources.phantom import PhantomSource

TRAINING = (
    "experiment=phantom",
    "logger=csv",
    "model.width=2",
    "data.source.num_subjects=4",
    "data.source.bscans_per_subject=2",
    "data.source.height=64",
    "data.source.width=96",
    "data.size=[64,64]",
    "data.batch_size=2",
    "split.subjects=[2,3]",
    "callbacks.gradcam.layers=[conv2d_19]",
    "callbacks.gradcam.num_scans=1",
    "callbacks.gradcam.every_n_epochs=1",
    "callbacks.predictions.scans=1",
    "trainer.max_epochs=4",
    "existing=continue",
)


@dataclass(frozen=True)
class Work:
    """A command and its output folder. again: the arguments that go on after the kill of a number."""

    name: str
    task: Callable[[], None]
    arguments: list[str]
    folder: Path
    again: Callable[[int], list[str]]


def training(place: Path) -> Work:
    """A run of four epochs with heat maps, figures, scoring and evaluation; it goes on by both ways there are."""
    folder = place / "training"
    arguments = ["retseg.train", *TRAINING, f"hydra.run.dir={folder}"]

    def again(number: int) -> list[str]:
        can_resume = (folder / "checkpoints" / "last.ckpt").is_file()
        return ["retseg.train", f"resume={folder}"] if number % 2 and can_resume else arguments

    return Work("train", _train, arguments, folder, again)


def sweep(place: Path) -> Work:
    """Three runs of two epochs, one after the other."""
    folder = place / "sweep"
    options = [*TRAINING, "trainer.max_epochs=2", "callbacks.gradcam=null", "evaluate=false", "seed=0,1,2"]
    arguments = ["retseg.train", "-m", *options, f"hydra.sweep.dir={folder}"]

    def again(number: int) -> list[str]:
        can_resume = (folder / "sweep.json").is_file()
        return ["retseg.train", f"resume={folder}"] if number % 2 and can_resume else arguments

    return Work("sweep", _train, arguments, folder, again)


def prediction(place: Path) -> Work:
    """Six pictures and two volumes of four B-scans, with every output, by a network of another training."""
    scans, folder = place / "scans", place / "prediction"
    scans.mkdir()
    phantom = PhantomSource(num_subjects=4, bscans_per_subject=4, height=96, width=128)
    images = [np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8) for key in phantom.keys[:14]]
    for number, image in enumerate(images[:6]):
        Image.fromarray(image).save(scans / f"single_{number}.png")
    for name, pages in (("left", images[6:10]), ("right", images[10:])):
        first, *rest = (Image.fromarray(page) for page in pages)
        first.save(scans / f"{name}.tif", save_all=True, append_images=rest)
    arguments = ["retseg", "predict", str(scans), "--run", str(place / "network"), "-o", str(folder), "--save", "all"]
    arguments += ["--predict-anyway", "--spacing", "3.87,11.33", "--bscan-distance", "120", "--eye", "OD"]
    return Work("predict", _predict, arguments, folder, lambda number: arguments)


def _train() -> None:
    from retseg.train import main

    main()


def _predict() -> None:
    from retseg.__main__ import main

    main()
