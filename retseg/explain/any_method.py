"""Maps by any method there is: retseg's own, those of pytorch-grad-cam, and occlusion, in one explanation."""

from collections.abc import Sequence

from torch import Tensor, nn

from retseg.errors import InputError
from retseg.explain.adapter import FULLGRAD_LAYER, OFFERED, library_maps
from retseg.explain.engine import Explanation, LayerMaps, explain
from retseg.explain.methods import METHODS
from retseg.explain.occlusion import occlusion
from retseg.explain.score import PAPER_SCORE, Score

OCCLUSION = "occlusion"
OCCLUSION_LAYER = "image"
"""Where occlusion's maps lie: it changes the image and asks no layer."""

ALL_METHODS = (*METHODS, OCCLUSION, *OFFERED)


def check_any(methods: Sequence[str]) -> None:
    """InputError where a method is none of ALL_METHODS."""
    for method in methods:
        if method not in ALL_METHODS:
            raise InputError(
                f"method {method!r} is not known; fast: {', '.join(METHODS)}; slow: {OCCLUSION}; by pytorch-grad-cam: "
                f"{', '.join(OFFERED)}"
            )


def explain_by_any(
    net: nn.Module, image: Tensor, layers: Sequence[str], methods: Sequence[str], score: Score = PAPER_SCORE
) -> Explanation:
    """Maps of images (N, 1, H, W) by methods of ALL_METHODS, in their order.

    Occlusion has the one layer OCCLUSION_LAYER and the library's FullGrad the one layer FULLGRAD_LAYER, whatever
    layers are asked for. InputError for names that do not exist.
    """
    check_any(methods)
    parts: list[Explanation] = []
    native = [method for method in methods if method in METHODS]
    if native:
        parts.append(explain(net, image, layers, native, score))
    if OCCLUSION in methods:
        found = occlusion(net, image, score)
        maps = LayerMaps(OCCLUSION, OCCLUSION_LAYER, OCCLUSION_LAYER, found.maps, None, "none")
        size = (image.shape[2], image.shape[3])
        parts.append(Explanation({(OCCLUSION, OCCLUSION_LAYER): maps}, found.probabilities, score, size))
    for method in (method for method in methods if method in OFFERED):
        its_layers = [FULLGRAD_LAYER] if method == "FullGrad" else layers
        parts.append(library_maps(net, image, its_layers, [method], score))
    merged = {key: one for part in parts for key, one in part.maps.items()}
    ordered = {key: merged[key] for method in methods for key in merged if key[0] == method}
    return Explanation(ordered, parts[0].probabilities, score, parts[0].image_size)
