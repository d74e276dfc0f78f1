"""How dear is Grad-CAM? 8 classes x {last decoder layer, softmax}, against a bare forward pass and pytorch-grad-cam.

Run `python -m benchmarks.gradcam [--width 64] [--size 256] [--repeats 5]`; about two minutes on 2 cores at width 64.
The contenders take turns within a round, and medians over rounds are compared, so that a busy machine disturbs them
alike. pytorch-grad-cam averages the layers that it is given, so 16 separate maps take it 16 calls; one call per class
with both layers, which gives 8 averaged maps, is listed too.
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
Row = dict[str, str | float]


def measure(width: int = 64, size: int = 256, repeats: int = 5, upsample: Upsample = "unpool") -> list[Row]:
    """One row per contender: name, median seconds, and the ratio to a bare forward pass."""
    torch.manual_seed(0)
    net = SegNet(width=width, upsample=upsample).eval()
    image = torch.rand(1, 1, size, size)

    def forward() -> None:
        with torch.no_grad():
            net(image)

    contenders: dict[str, tuple[Callable[[], object], int]] = {
        "bare forward pass": (forward, repeats),
        "retseg, 8 classes x 2 layers": (lambda: gradcam(net, image, ["conv2d_19", "conv2d_20"]), repeats),
        "retseg, 8 classes x 5 layers of the callback": (lambda: gradcam(net, image, DEEP_LAYERS), repeats),
        "pytorch-grad-cam, 16 maps": (lambda: _pytorch_grad_cam(net, image, separately=True), max(1, repeats // 2)),
        "pytorch-grad-cam, 8 maps": (lambda: _pytorch_grad_cam(net, image, separately=False), max(1, repeats // 2)),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-1, repeats):  # the first round warms up
        for name, (run, turns) in contenders.items():
            if turn < turns and not (turn < 0 and name.startswith("pytorch")):
                started = perf_counter()
                run()
                seconds[name] += [perf_counter() - started] * (turn >= 0)
    bare = median(seconds["bare forward pass"])
    return [
        {"what": name, "seconds": median(times), "times_a_forward": median(times) / bare}
        for name, times in seconds.items()
    ]


def _pytorch_grad_cam(net: SegNet, image: torch.Tensor, separately: bool) -> None:
    """The softmax score of every class over the whole image, at both layers: a call each, or together."""
    model = nn.Sequential(net, nn.Softmax(dim=1))
    layers = [net.get_submodule("decoder1.relu2"), model[1]]
    everywhere = np.ones(tuple(image.shape[2:]), np.float32)
    for targets in [[layer] for layer in layers] if separately else [layers]:
        with GradCAM(model, targets) as cam:
            for class_id in range(NUM_CLASSES):
                cam(image, [SemanticSegmentationTarget(class_id, everywhere)])
    net.zero_grad()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=64, help="channels of the first block")
    parser.add_argument("--size", type=int, default=256, help="rows and columns")
    parser.add_argument("--repeats", type=int, default=5, help="rounds; pytorch-grad-cam runs in half of them")
    parser.add_argument("--upsample", default="unpool", choices=["unpool", "transpose", "hybrid"])
    options = parser.parse_args()
    rows = measure(options.width, options.size, options.repeats, options.upsample)
    print(f"SegNet {options.upsample}, width {options.width}, {options.size} x {options.size}, ", end="")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {options.repeats}")
    for row in rows:
        print(f"{row['what']:<46}{row['seconds']:>9.3f} s {row['times_a_forward']:>8.2f} x a forward pass")
    seconds = {row["what"]: float(row["seconds"]) for row in rows}
    ours = seconds["retseg, 8 classes x 2 layers"]
    print(f"retseg is {seconds['pytorch-grad-cam, 16 maps'] / ours:.0f} times faster for the 16 maps, ", end="")
    print(f"{seconds['pytorch-grad-cam, 8 maps'] / ours:.0f} times than 8 averaged ones")


if __name__ == "__main__":
    main()
