"""Copies of a network whose learned weights are lost, module after module from the output down.

The cascading randomisation of Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292
(section 4.1). N scans, H x W pixels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy

import torch
from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.perturbation import logits_in_eval_mode

Reset = Callable[[nn.Module], None]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)


def reset_he(module: nn.Module) -> None:
    """New weights of one module, without its children: He et al. 2015 (doi 10.1109/ICCV.2015.123), biases 0.

    Keeps the size of what runs through a stack of ReLUs. PyTorch's own weights shrink it by 2.4 (the root of 6) a
    layer, so that after twenty layers without normalisation a random network gives its biases and hardly the image:
    maps would be lost for a reason that is none of the explanation's. Modules other than convolutions are reset by
    `reset_as_built`, which also empties the statistics of BatchNorm.
    """
    reset_as_built(module)
    if isinstance(module, _CONVOLUTIONS):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def reset_as_built(module: nn.Module) -> None:
    """New parameters (and running statistics) of one module by its own `reset_parameters`, as PyTorch makes them."""
    renew = getattr(module, "reset_parameters", None)
    if renew is None:
        raise InputError(
            f"{type(module).__name__}: has parameters and no reset_parameters(), so they cannot be made random; "
            "give the class one, or hand in a function that resets a module"
        )
    renew()


def steps_from_head(net: nn.Module, image: Tensor) -> list[tuple[str, ...]]:
    """Module paths to reset at each step, from the output down: in the reverse order of a forward pass of one image.

    A step is a module with a weight of two axes or more (a convolution), with the modules that follow it and have only
    vectors (its normalisation). A module that runs twice belongs where it ran last. Those that never run are left out.
    """
    ran: dict[str, nn.Module] = {}

    def note(path: str, module: nn.Module) -> None:
        ran.pop(path, None)
        ran[path] = module

    with ExitStack() as stack:
        for path, module in net.named_modules():
            if next(module.parameters(recurse=False), None) is not None:
                hook = module.register_forward_hook(lambda module, _inputs, _output, path=path: note(path, module))
                stack.enter_context(hook)
        logits_in_eval_mode(net, image[:1])
    steps: list[tuple[str, ...]] = []
    followers: tuple[str, ...] = ()
    for path, module in reversed(ran.items()):
        followers += (path,)
        if any(parameter.ndim > 1 for parameter in module.parameters(recurse=False)):
            steps.append(followers)
            followers = ()
    return [*steps, followers] if followers else steps


def cascade(
    net: nn.Module, steps: Sequence[tuple[str, ...]], seed: int = 0, reset: Reset = reset_he
) -> Iterator[nn.Module]:
    """A copy of the network after each step: what was reset stays so, and the next step is reset too.

    It is one and the same copy, changed between two steps: use it before asking for the next. The network itself and
    the random state are left as found.
    """
    with torch.inference_mode(False):  # a copy made in it could not be differentiated
        copy = deepcopy(net)
    for number, step in enumerate(steps):
        with torch.random.fork_rng(devices=_cuda_devices(copy)), torch.inference_mode(False):
            torch.manual_seed(seed + 1000 * number)
            for path in step:
                reset(copy.get_submodule(path))
        yield copy


def randomised(net: nn.Module, image: Tensor, seed: int = 0, reset: Reset = reset_he) -> nn.Module:
    """A copy of the network without anything learned: the end of the cascade."""
    copy = net
    for copy in cascade(net, steps_from_head(net, image), seed, reset):  # noqa: B007
        pass
    assert copy is not net, "a network without parameters has nothing to randomise"
    return copy


def _cuda_devices(net: nn.Module) -> list[int]:
    """Indices of the GPUs that hold the network: their random state is put back too."""
    return sorted({parameter.get_device() for parameter in net.parameters() if parameter.is_cuda})
