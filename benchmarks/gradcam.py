"""How dear is Grad-CAM? 8 classes x {last decoder layer, softmax}, against a bare forward pass and pytorch-grad-cam.

Run `python -m benchmarks.gradcam [--width 64] [--size 256] [--rounds 8]`; about two minutes on 2 cores at width 64.
The contenders take turns in every round, and the ratios are medians over rounds of ratios within a round, so that a
busy machine disturbs them alike. pytorch-grad-cam needs the same time for every class, so a round has one class of it,
counted 8 times. It averages the layers that it is given: 16 separate maps take it 16 calls; one call per class with
both layers, which gives 8 averaged maps, is listed too.
"""

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import SemanticSegmentationTarget
from torch import nn

from retseg.anatomy import NUM_CLASSES
from retseg.explain.gradcam import gradcam
from retseg.models.segnet import SegNet, Upsample

DEEP_LAYERS = ["conv2d_20", "conv2d_19", "conv2d_17", "conv2d_15", "conv2d_11"]
OURS = "retseg, 8 classes x 2 layers"
BASES = ("bare forward pass", OURS)
Row = dict[str, str | float]


def measure(width: int = 64, size: int = 256, rounds: int = 8, upsample: Upsample = "unpool") -> list[Row]:
    """One row per contender: name, median seconds, and the median ratios to a bare forward pass and to retseg."""
    torch.manual_seed(0)
    net = SegNet(width=width, upsample=upsample).eval()
    image = torch.rand(1, 1, size, size)
    with_softmax = nn.Sequential(net, nn.Softmax(dim=1))
    last, softmax = net.get_submodule("decoder1.relu2"), with_softmax[1]

    def forward(class_id: int) -> None:
        with torch.no_grad():
            net(image)

    contenders: dict[str, tuple[Callable[[int], object], int]] = {
        "bare forward pass": (forward, 1),
        OURS: (lambda class_id: gradcam(net, image, ["conv2d_19", "conv2d_20"]), 1),
        "retseg, 8 classes x 5 layers of the callback": (lambda class_id: gradcam(net, image, DEEP_LAYERS), 1),
        "pytorch-grad-cam, 16 maps": (
            lambda class_id: _oracle(with_softmax, image, [[last], [softmax]], class_id),
            NUM_CLASSES,
        ),
        "pytorch-grad-cam, 8 averaged maps": (
            lambda class_id: _oracle(with_softmax, image, [[last, softmax]], class_id),
            NUM_CLASSES,
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, (run, times) in contenders.items():
            started = perf_counter()
            run(turn % NUM_CLASSES)
            seconds[name].append(times * (perf_counter() - started))
    rows = []
    for name, mine in seconds.items():
        row: Row = {"what": name, "seconds": median(mine[1:])}  # the first round warms up
        for other in BASES:
            row[f"times {other}"] = median(a / b for a, b in zip(mine[1:], seconds[other][1:], strict=True))
        rows.append(row)
    return rows


def _oracle(model: nn.Module, image: torch.Tensor, calls: list[list[nn.Module]], class_id: int) -> None:
    """Maps of pytorch-grad-cam for the softmax score of one class over the whole image, one per list of layers."""
    everywhere = np.ones(tuple(image.shape[2:]), np.float32)
    for layers in calls:
        with GradCAM(model, layers) as cam:
            cam(image, [SemanticSegmentationTarget(class_id, everywhere)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=8, help="turns of each contender")
    parser.add_argument("--upsample", default="unpool", choices=["unpool", "transpose", "hybrid"])
    options = parser.parse_args()
    rows = measure(options.width, options.size, options.rounds, options.upsample)
    print(f"SegNet {options.upsample}, width {options.width}, {options.size} x {options.size}, ", end="")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {options.rounds} rounds")
    print(f"{'':<46}{'seconds':>9}{'/ forward':>11}{'/ retseg':>10}")
    for row in rows:
        ratios = [float(row[f"times {other}"]) for other in BASES]
        print(f"{row['what']:<46}{row['seconds']:>9.3f}{ratios[0]:>11.2f}{ratios[1]:>10.2f}")


if __name__ == "__main__":
    main()
