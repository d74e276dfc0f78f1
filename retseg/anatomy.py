"""The words of the field: retinal layers, the surfaces between them, their ids, colours and depth order."""

from dataclasses import dataclass

IGNORE = -1
"""Label of pixels that nobody annotated. It is never a class: losses and metrics leave it out."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One class of the segmentation: its id in masks, short and full name, and sRGB colour (0..255)."""

    id: int
    name: str
    full_name: str
    colour: tuple[int, int, int]


# Colours: Okabe & Ito, "Color Universal Design" (2008), chosen there to survive colour blindness.
CLASSES = (
    Layer(0, "background", "vitreous and below Bruch's membrane", (0, 0, 0)),
    Layer(1, "NFL", "nerve fibre layer", (230, 159, 0)),
    Layer(2, "GCL-IPL", "ganglion cell and inner plexiform layers", (86, 180, 233)),
    Layer(3, "INL", "inner nuclear layer", (0, 158, 115)),
    Layer(4, "OPL", "outer plexiform layer", (240, 228, 66)),
    Layer(5, "ONL-ISM", "outer nuclear layer and inner segment myoid", (0, 114, 178)),
    Layer(6, "ISE", "inner segment ellipsoid", (213, 94, 0)),
    Layer(7, "OS-RPE", "outer segments and retinal pigment epithelium", (204, 121, 167)),
)
"""The eight classes of the Duke DME set (Chiu et al. 2015, doi 10.1364/BOE.6.001172), in depth order."""

LAYERS = CLASSES[1:]
CLASS_NAMES = tuple(layer.name for layer in CLASSES)
LAYER_NAMES = tuple(layer.name for layer in LAYERS)
NUM_CLASSES = len(CLASSES)

SURFACE_NAMES = ("ILM", "NFL/GCL", "IPL/INL", "INL/OPL", "OPL/ONL", "ISM/ISE", "ISE/OS", "BM")
"""The eight surfaces, top to bottom. Layer k (1..7) lies between surfaces k-1 and k of this tuple."""

NUM_SURFACES = len(SURFACE_NAMES)
