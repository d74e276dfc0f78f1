"""Arrays as pictures inside the page: WebP of gray levels, indexed PNG of classes, as data URIs."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from retseg.bscan import Array
from retseg.report.colours import Colour

QUALITY = 82
"""Of WebP, 0..100: above it, only speckle gains."""


def gray_webp(image: Array) -> str:
    """Data URI of gray levels (H, W) uint8."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", quality=QUALITY, method=6)
    return _uri("webp", buffer)


def indexed_png(indices: Array, colours: Sequence[Colour], alphas: Sequence[int]) -> str:
    """Data URI of indices (H, W) uint8 into colours (sRGB 0..255), each with its opacity 0..255."""
    picture = Image.frombytes(
        "P", (indices.shape[1], indices.shape[0]), np.ascontiguousarray(indices, np.uint8).tobytes()
    )
    picture.putpalette([part for colour in colours for part in colour])
    buffer = BytesIO()
    bits = next(bits for bits in (1, 2, 4, 8) if len(colours) <= 2**bits)
    picture.save(buffer, "PNG", optimize=True, bits=bits, transparency=bytes(alphas))
    return _uri("png", buffer)


def plane_png(is_on: Array, colour: Colour) -> str:
    """Data URI of pixels (H, W) bool in one colour, the others transparent."""
    return indexed_png(is_on.astype(np.uint8), [(0, 0, 0), colour], [0, 255])


def _uri(kind: str, buffer: BytesIO) -> str:
    return f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode('ascii')}"
