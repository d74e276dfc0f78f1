"""What each network costs: parameters, GFLOP of a forward pass, ms of a forward pass and of a training step.

Run `python -m benchmarks.networks [--size 256] [--rounds 5]`. One thread; processor time, so that what else runs on the
machine counts less; the best of the rounds, which are interleaved. A step is of four scans: forward, eq. 3, backward,
Adam. BatchNorm in all, untrained weights.
"""

import argparse
from collections.abc import Mapping
from time import process_time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from retseg.build import make
from retseg.commands.config_folder import compose_config
from retseg.losses import CrossEntropyDice

BATCH = 4
NETWORKS: Mapping[str, tuple[str, ...]] = {
    "SegNet, width 8": ("model=segnet", "model.width=8", "model.norm=batch"),
    "SegNet, width 16": ("model=segnet", "model.width=16", "model.norm=batch"),
    "SegNet, width 32": ("model=segnet", "model.width=32", "model.norm=batch"),
    "ReLayNet, width 64 (the paper's)": ("model=relaynet", "model.width=64"),
    "U-Net, width 16": ("model=unet",),
    "unet_fast": ("model=unet_fast",),
    "unet_fast, width 8": ("model=unet_fast", "model.width=8"),
    "unet_fast, separable": ("model=unet_fast", "model.separable=true"),
    "unet_fast, a quarter of the columns": ("model=unet_fast", "model.stem_stride=[1,4]", "model.depth=3"),
    "U-Net on mobilenet_v3_small": ("model=encoder", "model.encoder=mobilenet_v3_small"),
    "U-Net on resnet18": ("model=encoder", "model.encoder=resnet18"),
    "surfaces beside unet_fast": ("model=with_surfaces", "model@model.net=unet_fast"),
}


def network(options: tuple[str, ...]) -> nn.Module:
    """The network of a choice of conf/model."""
    net: nn.Module = make(compose_config([*options]).model, "model")
    return net


def gflop(net: nn.Module, image: torch.Tensor) -> float:
    """Of a forward pass."""
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), counter:
        net.eval()(image)
    return float(counter.get_total_flops()) / 1e9


def measure(size: int = 256, rounds: int = 5) -> dict[str, dict[str, float]]:
    """Parameters, GFLOP, ms of a forward pass and of a step, by network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    batch, mask = torch.rand(BATCH, 1, size, size), torch.randint(0, 8, (BATCH, size, size))
    nets = {name: network(options) for name, options in NETWORKS.items()}
    optimizers = {name: torch.optim.Adam(net.parameters(), lr=1e-3) for name, net in nets.items()}
    loss, forward, step = CrossEntropyDice(), dict.fromkeys(nets, 1e9), dict.fromkeys(nets, 1e9)
    for _ in range(rounds + 1):
        for name, net in nets.items():
            net.eval()
            start = process_time()
            with torch.inference_mode():
                net(batch[:1])
            forward[name] = min(forward[name], process_time() - start)
            net.train()
            start = process_time()
            optimizers[name].zero_grad()
            loss(net(batch), mask).backward()
            optimizers[name].step()
            step[name] = min(step[name], process_time() - start)
    torch.set_num_threads(threads)
    return {
        name: {
            "parameters": float(sum(parameter.numel() for parameter in net.parameters())),
            "GFLOP": gflop(net, batch[:1]),
            "ms forward": 1e3 * forward[name],
            "ms step": 1e3 * step[name],
        }
        for name, net in nets.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{'network':36}{'parameters':>12}{'GFLOP':>8}{'ms forward':>12}{'ms step':>10}")
    for name, found in measure(options.size, options.rounds).items():
        print(f"{name:36}{found['parameters']:12,.0f}{found['GFLOP']:8.2f}", end="")
        print(f"{found['ms forward']:12.0f}{found['ms step']:10.0f}")


if __name__ == "__main__":
    main()
