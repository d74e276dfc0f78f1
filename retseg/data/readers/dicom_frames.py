"""The size that a compressed frame states of itself: codecs set that much aside, whatever the DICOM header says.

JPEG and JPEG-LS: the frame header (ISO/IEC 10918-1, B.2.2); JPEG 2000: the marker SIZ (ISO/IEC 15444-1, A.5.1).
"""

import struct

_J2K = b"\xff\x4f\xff\x51"
_J2K_WITHIN = 4096
"""Boxes before the codestream are shorter."""

_FRAME_HEADERS = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def stated_shape(frame: bytes) -> tuple[int, int] | None:
    """(H, W) that a JPEG, JPEG-LS or JPEG 2000 frame states; None where it is none of these, or cut off before."""
    try:
        if (start := frame[:_J2K_WITHIN].find(_J2K)) >= 0:
            width, height, left, top = struct.unpack_from(">IIII", frame, start + 8)
            return height - top, width - left
        at = 2 if frame[:2] == b"\xff\xd8" else len(frame)
        while at < len(frame):
            marker, length = struct.unpack_from(">HH", frame, at)
            if marker & 0xFF in _FRAME_HEADERS:
                height, width = struct.unpack_from(">HH", frame, at + 5)
                return height, width
            at += 2 + max(length, 2) if marker != 0xFFFF else 1
    except struct.error:
        pass
    return None
