"""Words for retinal layers in DICOM: coded concepts, and who found them. Needs highdicom (extra `vendor`).

Codes. The nerve fibre layer has its code in SNOMED CT, as HL7's eye-care value set "PosteriorSegmentOrganizerCodes"
(of 2023-09-01) gives it. For the others no code could be verified in a public source (PS3.16, CID 4273 codes surfaces
between layers, not layers), so they go by retseg's own scheme 99RETSEG, whose values are the names in `retseg.anatomy`.
"""

from typing import Any

from retseg import __version__
from retseg.anatomy import LAYERS, Layer

SCHEME = "99RETSEG"
NERVE_FIBRE_LAYER = ("45950005", "SCT", "Nerve fiber layer of retina")
RETINA = ("5665001", "SCT", "Retina")
ANATOMICAL_STRUCTURE = ("91723000", "SCT", "Anatomical Structure")
_MEANING_CHARACTERS = 64
"""Of a code's meaning, at most (value representation LO)."""


def layer_code(layer: Layer) -> tuple[str, str, str]:
    """Value, scheme and meaning."""
    if layer.name == "NFL":
        return NERVE_FIBRE_LAYER
    return layer.name, SCHEME, layer.full_name.capitalize()[:_MEANING_CHARACTERS]


def segment_descriptions() -> list[Any]:
    """What each segment is, its number being the id of its class; background is none of them."""
    import highdicom as hd

    def code(value: str, scheme: str, meaning: str) -> Any:
        return hd.sr.CodedConcept(value, scheme, meaning)

    algorithm = hd.AlgorithmIdentificationSequence(
        name="retseg", family=hd.sr.CodedConcept("123110", "DCM", "Artificial Intelligence"), version=__version__
    )
    return [
        hd.seg.SegmentDescription(
            segment_number=layer.id,
            segment_label=layer.name,
            segmented_property_category=code(*ANATOMICAL_STRUCTURE),
            segmented_property_type=code(*layer_code(layer)),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
            anatomic_regions=[code(*RETINA)],
            display_color=hd.color.CIELabColor.from_rgb(*layer.colour),
        )
        for layer in LAYERS
    ]


def coding_scheme() -> Any:
    """What the private scheme is, for Coding Scheme Identification Sequence (PS3.3, C.12.1.1.1)."""
    from pydicom.dataset import Dataset

    scheme = Dataset()
    scheme.CodingSchemeDesignator = SCHEME
    scheme.CodingSchemeName = "Retinal layers as retseg names them"
    scheme.CodingSchemeVersion = __version__
    return scheme
