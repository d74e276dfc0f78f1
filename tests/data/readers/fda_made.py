"""Topcon's .fda files, made by hand after OCT-Converter's description of their chunks."""

import io
import struct

import numpy as np
from PIL import Image

SCANNED = struct.pack("<IIIdddddBB", 0, 0, 0, 6.0, 4.5, 2.6, 0.0, 0.0, 0, 0)
"""@PARAM_SCAN_04: 6.0 mm wide, 4.5 mm high, 2.6 um a pixel of depth."""


def chunk(name: bytes, content: bytes) -> bytes:
    return bytes([len(name)]) + name + struct.pack("<I", len(content)) + content


def encoded(image: np.ndarray, kind: str = "JPEG2000") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def pictures(images: np.ndarray, kind: str = "JPEG2000") -> bytes:
    """@IMG_JPEG of B-scans (B, H, W)."""
    num_bscans, height, width = images.shape
    content = struct.pack("<BIIIIII", 2, 0, 0, width, height, num_bscans, 0)
    for image in images:
        picture = encoded(image, kind)
        content += struct.pack("<I", len(picture)) + picture
    return chunk(b"@IMG_JPEG", content)


def deep(images: np.ndarray) -> bytes:
    """@IMG_MOT_COMP_03 of B-scans (B, H, W) of 16 bits."""
    num_bscans, height, width = images.shape
    content = images.astype("<u2").tobytes()
    return chunk(
        b"@IMG_MOT_COMP_03", struct.pack("<BIIIIBI", 2, width, height, 16, num_bscans, 0, len(content)) + content
    )


def fda_bytes(*chunks: bytes) -> bytes:
    others = (chunk(b"@CAPTURE_INFO_02", struct.pack("<BBI100s6H", 1, 2, 3, b"", 2026, 1, 31, 10, 0, 0)),)
    others += (chunk(b"@PARAM_SCAN_04", SCANNED), chunk(b"@FAST_Q2_INFO", bytes(24)))
    return struct.pack("<4s3sII", b"FOCT", b"FDA", 2, 1) + b"".join((*chunks, *others)) + b"\0"
