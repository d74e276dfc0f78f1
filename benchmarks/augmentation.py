"""What augmentation costs beside a training step: SegNet of width 16, batch of 8 at 256 x 256, one thread.

Run `python -m benchmarks.augmentation [--width 16] [--rounds 7]`. Processor time of this process, medians, interleaved.
"everything on" is augmentation=strong with every probability at 1.
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import process_time

import torch
from omegaconf import DictConfig, OmegaConf

from retseg.build import make
from retseg.commands.config_folder import compose_config
from retseg.data.dataset import Batch
from retseg.losses import CrossEntropyDice
from retseg.models.segnet import SegNet

LIMIT = 0.03
"""Share of a training step."""

EVERYTHING = "everything on"


def made_up_batch(num: int = 8, size: int = 256) -> Batch:
    """Noise with straight layers, surfaces and fluid: what costs depends on the size alone."""
    rows = (90 + 10 * torch.arange(8.0)).view(1, 8, 1).repeat(num, 1, size)
    mask = (torch.arange(size).view(1, 1, -1, 1) >= rows.unsqueeze(2)).sum(dim=1) % 8
    names = [f"scan {index}" for index in range(num)]
    return {
        "image": torch.rand(num, 1, size, size),
        "mask": mask,
        "spacing_um": torch.full((num, 2), 4.0),
        "subject": names,
        "name": names,
        "surface_rows": rows,
        "fluid": (mask == 5).long(),
    }


def contenders() -> dict[str, DictConfig]:
    """Configurations by name: the choices, everything on, and each step of it alone."""
    config = {
        name: compose_config([f"augmentation={name}", "paths.run_dir=unused"]).augmentation
        for name in ("flip_shift_gain", "appearance", "strong")
    }
    certain = OmegaConf.create(OmegaConf.to_container(config["strong"]))
    assert isinstance(certain, DictConfig)
    for step in certain.steps:
        if "probability" in step:
            step.probability = 1.0
    config[EVERYTHING] = certain
    return config | {step._target_.split(".")[-1]: step for step in certain.steps}


def measure(width: int = 16, rounds: int = 7) -> dict[str, float]:
    """Seconds of processor time: of a training step, and of each augmentation."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batch = made_up_batch()
    net = SegNet(width=width, norm="batch").to(memory_format=torch.channels_last)
    loss, optimizer = CrossEntropyDice(), torch.optim.Adam(net.parameters())

    def step() -> None:
        optimizer.zero_grad()
        loss(net(batch["image"]), batch["mask"]).backward()
        optimizer.step()

    jobs: dict[str, Callable[[], object]] = {"training step": step}
    for name, config in contenders().items():
        augmentation = make(config, "augmentation")
        jobs[name] = lambda augmentation=augmentation: augmentation(batch)
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            start = process_time()
            job()
            if number > 0:  # the first round warms up
                seconds[name].append(process_time() - start)
    torch.set_num_threads(threads)
    return {name: median(times) for name, times in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    seconds = measure(arguments.width, arguments.rounds)
    step = seconds["training step"]
    for name, time in seconds.items():
        print(f"{name:16s} {1000 * time:8.1f} ms   {100 * time / step:6.2f} % of a step")
    kept = seconds[EVERYTHING] <= LIMIT * step
    print(f"{EVERYTHING}: {'kept' if kept else 'MISSED'} the limit of {100 * LIMIT:.0f} %")


if __name__ == "__main__":
    main()
