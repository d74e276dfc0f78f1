"""Which engine runs a forward pass fastest: PyTorch as it is, PyTorch with channels last, or onnxruntime.

Run `python -m benchmarks.engines [--width 16 32 64] [--size 256] [--scans 8] [--rounds 7]`.

Two threads, each on one core, take scans one by one, as prediction runs them (`in_order`). The engines take turns, back
and forth; the first round warms up. Figures are medians over rounds: ms a scan, and ratios to PyTorch as it is in the
same round, of time on the clock and of processor time, which other work on the machine disturbs less. Each engine's
logits are compared with PyTorch's on the same images. The network was never trained, its normalisation is that of
random images; onnxruntime runs the file that `retseg export` writes.

Logits may differ by far more than rounding in single places: where two pixels of a pooling window are equal to within
rounding, engines keep different ones, and unpooling puts a value one pixel away. With the pooling's places taken from
the other engine they agree to 1e-5. Untrained networks on noise, as here, have many such ties, real scans few.
"""

import argparse
import tempfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch
from torch import Tensor, nn

from retseg import __version__
from retseg.bscan import Array
from retseg.evaluation.parallel import in_order
from retseg.inference.network import NetworkCard
from retseg.inference.onnx_network import CARD, open_onnx, save_onnx
from retseg.inference.parity import Parity, compare
from retseg.inference.torch_network import as_program
from retseg.models.segnet import SegNet
from retseg.training.environment import weights_sha256

EAGER, CHANNELS_LAST, ONNX = "PyTorch", "PyTorch, channels last", "onnxruntime"
NUM_THREADS = 2

Forward = Callable[[Tensor], Tensor]


def make_net(width: int) -> SegNet:
    """SegNet with unpooling and batch normalisation, in eval mode."""
    torch.manual_seed(0)
    net = SegNet(width=width, norm="batch")
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None  # what follows counts in full
    with torch.no_grad():
        net(torch.rand(4, 1, 128, 128))
    return net.eval().requires_grad_(False)


def engines(net: SegNet, size: int, folder: Path) -> dict[str, Forward]:
    """Forward passes (N, C, H, W) from (N, 1, H, W) in 0..1 of one network, by name."""
    last = deepcopy(net).to(memory_format=torch.channels_last)
    card = NetworkCard(
        name="benchmark", sha256=weights_sha256(net), size=(size, size), window=None, training_um=None,
        training_shape=None, data_name="none", label_origin="none", stamp="never trained", retseg_version=__version__,
    )  # fmt: skip
    save_onnx(as_program(net, card.size), folder / "net.onnx", {CARD: card.to_json()})
    return {
        EAGER: net,
        CHANNELS_LAST: lambda images: last(images.contiguous(memory_format=torch.channels_last)),
        ONNX: open_onnx(folder / "net.onnx").forward,
    }


def measure(
    width: int = 32, size: int = 256, num_scans: int = 8, rounds: int = 7
) -> tuple[dict[str, Array], dict[str, Parity]]:
    """Seconds a scan (rounds, 2), clock and processor, of each engine; how like PyTorch each answers."""
    images = list(torch.rand(num_scans, 1, 1, size, size, generator=torch.Generator().manual_seed(1)))
    with tempfile.TemporaryDirectory() as folder:
        contenders = engines(make_net(width), size, Path(folder))
    seconds: dict[str, list[Array]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name in list(contenders)[:: 1 if turn % 2 else -1]:
            seconds[name].append(_seconds(contenders[name], images) / num_scans)
    parities = {name: compare(contenders[EAGER], contenders[name], images) for name in contenders}
    return {name: np.array(mine[1:]) for name, mine in seconds.items()}, parities


def _seconds(forward: Forward, images: list[Tensor]) -> Array:
    """Seconds (2,) that all images take: on the clock, and of all threads' processor time."""

    def run(image: Tensor) -> Tensor:
        with torch.inference_mode():  # of each thread its own
            return forward(image)

    started = np.array([perf_counter(), process_time()])
    for _ in in_order(run, images, NUM_THREADS):
        pass
    return np.array([perf_counter(), process_time()]) - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", nargs="+", type=int, default=[16, 32, 64], help="channels of the first block")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--scans", type=int, default=8, help="scans a turn, a multiple of 2")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender")
    options = parser.parse_args()
    for width in options.width:
        seconds, parities = measure(width, options.size, options.scans, options.rounds)
        print(f"SegNet, width {width}, {options.size} x {options.size}, torch {torch.__version__}, two threads")
        print(f"{'':<24}{'ms a scan':>10}{'/ PyTorch':>11}{'lowest, highest':>18}{'processor':>11}")
        for name, mine in seconds.items():
            ratios = mine / seconds[EAGER]
            clock, processor = np.median(ratios, axis=0)
            spread = f"{ratios[:, 0].min():.3f}, {ratios[:, 0].max():.3f}"
            print(
                f"{name:<24}{1000 * np.median(mine[:, 0]):>10.1f}{clock:>11.3f}{spread:>18}{processor:>11.3f}", end=""
            )
            print(f"   {parities[name].words}", flush=True)


if __name__ == "__main__":
    main()
