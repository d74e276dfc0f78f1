"""Which maps are nothing but the network's output, by arithmetic and not by training.

z are the logits (C, H, W), P their softmax, W (C, K) and b (C,) weight and bias of a 1x1 head, A the features (K, H, W)
that feed it: z - b = W A, so whatever adds up channels with the weights of the head computes the logits again. The
identities of the paper's checklist, with Y^c the class score and alpha^c Grad-CAM's channel weights:

1. at the softmax, Y^c the sum of P_c over the image: the mean of alpha^c over the channels is 1/C;
2. there, the map is P_c times a number;
3. before the softmax, the alphas of any softmax score sum to 0 over the classes;
4. at A, Y^c a sum of z_c: alpha^c is the row W_c, the map is ReLU(z_c - b_c);
5. at A, Y^c a sum of P_c: alpha^c is the mean of P_c (W_c - sum over m of P_m W_m), so the map is linear in z - b;
6. sum and mean over the same pixels give the same map but for a factor.

1, 2, 4 and 5 make the map a function of the output; 3 and 6 say nothing about a single map.
"""

from collections.abc import Callable
from dataclasses import dataclass

from retseg.explain.layers import SOFTMAX
from retseg.explain.score import Score


@dataclass(frozen=True, slots=True)
class Identity:
    """numbers: in the list above; map_is: the map, up to a positive factor a scan and class."""

    numbers: tuple[int, ...]
    map_is: str

    @property
    def text(self) -> str:
        """`identities 1 and 2: the map is P_c`."""
        word = "identity" if len(self.numbers) == 1 else "identities"
        return f"{word} {' and '.join(map(str, self.numbers))}: the map is {self.map_is}"


def identity_of(module: str, gradient: str, score: Score, method: str = "gradcam") -> Identity | None:
    """The identity that makes a map a function of the network's output alone; None where none is known.

    module, gradient, method: as `retseg.explain.engine.LayerMaps` has them. "closed form" elsewhere than at the softmax
    means that the layer feeds a 1x1 head whose output are the logits.
    """
    if gradient != "closed form":
        return None
    of_method = _AT_SOFTMAX if module == SOFTMAX else _AT_LOGIT if score.of == "logit" else _AT_PROBABILITY
    known = of_method.get(method)
    return None if known is None else known(isinstance(score.over, str) and score.over == "image")


_Known = Callable[[bool], Identity | None]
"""The identity of a method at one kind of layer, from whether its score counts every pixel alike."""

_SOFTMAX_MAP = "P_c"
_LOGIT_MAP = "ReLU(z_c - b_c)"
_LINEAR_MAP = "ReLU of a linear combination of the logits, the same at every pixel"
_POINTWISE_MAP = "ReLU(sum over m of dY/dz_m (z_m - b_m)), from the logits of the same pixel"
_COUNTED = " where the score counts, 0 elsewhere"


def _always(identity: Identity) -> _Known:
    """Whatever pixels the score counts: channels get one weight, in which the region is a factor."""
    return lambda over_image: identity


def _pixelwise(numbers: tuple[int, ...], map_is: str) -> _Known:
    """Pixels that the score leaves out have no gradient and so no heat."""
    return lambda over_image: Identity(numbers, map_is if over_image else map_is + _COUNTED)


def _over_image(numbers: tuple[int, ...], map_is: str) -> _Known:
    """Only where the gradient is the same at every pixel."""
    return lambda over_image: Identity(numbers, map_is) if over_image else None


# dY/dP_k = [k == c] w with w >= 0 at every pixel. That alpha is 1/C on average is Grad-CAM's over the image alone.
_AT_SOFTMAX: dict[str, _Known] = {
    "gradcam": lambda over_image: Identity((1, 2) if over_image else (2,), _SOFTMAX_MAP),
    "gradcam++": _always(Identity((2,), _SOFTMAX_MAP)),
    "xgradcam": _always(Identity((2,), _SOFTMAX_MAP)),
    "hirescam": _pixelwise((2,), _SOFTMAX_MAP),
    "layercam": _pixelwise((2,), _SOFTMAX_MAP),
    "seg-xres-cam": _over_image((2,), _SOFTMAX_MAP),
}

# dY/dA_k = w W_ck. LayerCAM and Grad-CAM++ cut W off at 0, after which it no longer is the head.
_AT_LOGIT: dict[str, _Known] = {
    "gradcam": _always(Identity((4,), _LOGIT_MAP)),
    "hirescam": _pixelwise((4,), _LOGIT_MAP),
    "xgradcam": _over_image((4,), _LOGIT_MAP),
    "seg-xres-cam": _over_image((4,), _LOGIT_MAP),
}

# dY/dA_k = sum over m of dY/dz_m W_mk, for P_c or its logarithm.
_AT_PROBABILITY: dict[str, _Known] = {
    "gradcam": _always(Identity((5,), _LINEAR_MAP)),
    "hirescam": _pixelwise((5,), _POINTWISE_MAP),
}
