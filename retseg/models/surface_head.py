"""Surfaces as an output whose order is guaranteed, after He et al. 2019, doi 10.1007/978-3-030-32239-7_14, and 2021.

N scans, C classes, S = C surfaces, H rows (depth), W columns. Row r is the upper edge of pixel r.
"""

import torch
from torch import Tensor, nn

from retseg.anatomy import NUM_CLASSES, NUM_SURFACES
from retseg.models.outputs import Outputs, gives_of, outputs_of
from retseg.models.wrapped import Wrapped

SHARPNESS = 4.0
"""Heat maps are multiplied by it before the softmax: a column of 256 rows needs steep ones, and so has them sooner."""

UNPAINTED = 0.01
"""Share of the probability that surfaces spread over all classes: they outvote the logits by 6.7 nats at most."""


class WithSurfaces(Wrapped):
    """A network that gives logits (N, C, H, W), and in `outputs` eight surfaces (N, 8, W) that cannot cross.

    net: any network with `num_classes`, made with eight channels more than it would have (16): its last eight are heat
    maps, whose softmax over the rows of a column says where a surface may be. `chances_below` makes of them, in order
    by construction, the chance of each pixel to lie below each surface; a surface's row is the expected number of
    pixels above it, which for the first surface is the soft-argmax of its heat map.
    The logits of the first eight channels are raised by the logarithm of what these chances paint (`painted`), times
    a learned trust that starts at 1: so the layers' loss trains the surfaces too, and whoever decodes the logits
    reads both. Further channels (fluid, see `WithFluid`, which goes outside) stay as they are.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net, NUM_CLASSES, NUM_SURFACES)
        self.trust = nn.Parameter(torch.tensor(1.0))

    @property
    def gives(self) -> tuple[str, ...]:
        """See `retseg.models.outputs.GivesOutputs`."""
        return (*gives_of(self.net), "surface_rows")

    def outputs(self, image: Tensor) -> Outputs:
        """Logits (N, C, H, W) and surface rows (N, S, W)."""
        inner = outputs_of(self.net, image)
        logits, heat = inner.logits[:, : self.num_classes], inner.logits[:, self.num_classes :]
        below = chances_below(heat)
        raised = logits[:, :NUM_CLASSES] + self.trust * painted(below).log()
        if self.num_classes > NUM_CLASSES:
            raised = torch.cat([raised, logits[:, NUM_CLASSES:]], dim=1)
        return inner._replace(logits=raised, surface_rows=(1 - below).sum(dim=2))


def chances_below(heat: Tensor) -> Tensor:
    """Chance (N, S, H, W) of each pixel to lie below each surface, from heat maps (N, S, H, W); it falls with S.

    The softmax of a heat map over a column says in the upper edge of which pixel the surface may be; its running sum
    is the chance to be below that edge. A pixel is below surface k if it is below the rows of all of 1..k, drawn each
    from its own heat map: the product of the k chances, which is no larger than that of k - 1.
    He et al. put mean rows e_k in order by s_k = max(s_k-1, e_k), where an estimate out of order has no gradient; this
    is the mean of that maximum instead of the maximum of means. Where heat maps do not overlap both are the same.
    """
    below_each = (SHARPNESS * heat).softmax(dim=2).cumsum(dim=2).clamp(max=1)
    below = [below_each[:, 0]]
    for surface in range(1, heat.shape[1]):  # torch.cumprod has no counterpart in ONNX
        below.append(below[-1] * below_each[:, surface])
    return torch.stack(below, dim=1)


def painted(below: Tensor) -> Tensor:
    """Probabilities (N, C, H, W) of the classes, from the chance (N, S, H, W) to lie below each surface.

    A layer has what lies below its upper surface and not below its lower one, background has the rest. `UNPAINTED` is
    spread over all classes, so that logarithms are bounded.
    """
    layers = below[:, :-1] - below[:, 1:]
    background = 1 - below[:, :1] + below[:, -1:]
    shares = torch.cat([background, layers], dim=1)
    return (1 - UNPAINTED) * shares + UNPAINTED / below.shape[1]
