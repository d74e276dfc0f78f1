"""What each method's map is, in one sentence for captions; Y is the class score, Aₖ the features of channel k."""

from retseg.explain.adapter import OFFERED

DESCRIPTIONS = {
    "gradcam": (
        "Grad-CAM (Selvaraju et al. 2017): ReLU of the sum over channels k of αₖ times the feature map Aₖ, where αₖ is "
        "the mean over pixels of ∂Y/∂Aₖ."
    ),
    "gradcam++": (
        "Grad-CAM++ (Chattopadhay et al. 2018): ReLU of the sum over channels k of αₖ Aₖ, where αₖ adds up the "
        "positive gradients, weighted by their eq. 19."
    ),
    "xgradcam": (
        "XGrad-CAM (Fu et al. 2020): ReLU of the sum over channels k of αₖ Aₖ, where αₖ is the mean of ∂Y/∂Aₖ weighted "
        "by the features Aₖ themselves."
    ),
    "hirescam": "HiResCAM (Draelos and Carin 2020): ReLU of the sum over channels k of ∂Y/∂Aₖ Aₖ, pixel by pixel.",
    "layercam": (
        "LayerCAM (Jiang et al. 2021): sum over channels k of the positive part of ∂Y/∂Aₖ times Aₖ, pixel by pixel, "
        "then ReLU."
    ),
    "seg-xres-cam": (
        "Seg-XRes-CAM (Hasany et al. 2023): as HiResCAM, with ∂Y/∂Aₖ pooled (maximum) over windows of 4 x 4 px of the "
        "layer and enlarged again."
    ),
    "occlusion": (
        "Occlusion: mean fall of Y over the squares of 16 x 16 px, every 8 px, that hide a pixel behind the scan's "
        "mean gray level; falls alone. No layer and no gradient are asked."
    ),
}


def describe_method(name: str) -> str:
    """A sentence on a method of retseg's own, or of pytorch-grad-cam's."""
    return DESCRIPTIONS[name] if name in DESCRIPTIONS else f"{name}, as pytorch-grad-cam has it: {OFFERED[name]}."
