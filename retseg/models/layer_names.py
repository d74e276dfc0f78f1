"""The paper's layer names in other networks: what asks for "conv2d_19" finds its counterpart."""

from collections.abc import Sequence


def papers_names(decoders: Sequence[str]) -> dict[str, str]:
    """Modules that stand where the paper's layers stand, from those of the decoder, full resolution first.

    conv2d_20 is the softmax; conv2d_19, conv2d_17, conv2d_15 and conv2d_11 are the last activations of the decoder at
    full, half, a quarter and a sixteenth of the resolution. A shallower decoder gives its deepest module for those
    that it lacks: names that say the same module twice give the same map twice.
    """
    steps = {"conv2d_19": 0, "conv2d_17": 1, "conv2d_15": 2, "conv2d_11": 4}
    return {name: decoders[min(step, len(decoders) - 1)] for name, step in steps.items()} | {"conv2d_20": "softmax"}
