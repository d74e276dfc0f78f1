"""What making training data costs beside a training step: the random phantom and its network, interleaved, one thread.

Run `python -m benchmarks.random_phantom [--model unet_fast] [--rounds 15]`.
A round makes the scans of a batch, then takes a step of `experiment=zero_shot` on them (augmentation, forward, loss,
backward, Adam). In training each scan is made once and kept: the second ratio is of all scans made to all steps taken.
"""

import argparse
from statistics import median
from time import perf_counter

import torch

from retseg.build import build_net, build_source, make
from retseg.commands.config_folder import compose_config
from retseg.data.dataset import BScanDataset, collate

RATIO, LIMIT = "making a batch of random phantoms / a training step", 0.05
KEPT = "making all scans of zero_shot / all its steps"


def measure(model: str = "unet_fast", rounds: int = 15) -> dict[str, float]:
    """Median ratio of a round, that of a whole training, and ms of both."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    config = compose_config(["experiment=zero_shot", f"model={model}"])
    source, net, loss = build_source(config), build_net(config).train(), make(config.loss, "loss")
    augmentation = make(config.augmentation, "augmentation")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    size, steps = config.data.batch_size, config.trainer.max_epochs * config.trainer.limit_train_batches
    batches_made = len(source.keys) / size
    making, stepping = [], []
    for number in range(rounds + 1):
        dataset = BScanDataset(source, source.keys[number * size : (number + 1) * size], cache=False)
        start = perf_counter()
        batch = collate([dataset[index] for index in range(size)])
        making.append(perf_counter() - start)
        start = perf_counter()
        optimizer.zero_grad()
        batch = augmentation(batch)
        loss(net(batch["image"]), batch["mask"]).backward()
        optimizer.step()
        stepping.append(perf_counter() - start)
    torch.set_num_threads(threads)
    ratio = median(one / other for one, other in zip(making[1:], stepping[1:], strict=True))
    return {
        "ms to make a batch": 1e3 * median(making[1:]),
        "ms of a step": 1e3 * median(stepping[1:]),
        RATIO: ratio,
        KEPT: ratio * batches_made / steps,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="unet_fast")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for name, value in measure(options.model, options.rounds).items():
        print(f"{name}: {value:.3f}" + (f" (limit {LIMIT})" if name == KEPT else ""))


if __name__ == "__main__":
    main()
