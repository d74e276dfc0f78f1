"""How a whole file is spoilt: cut off, bits turned, sizes made absurd, pieces left out, doubled or moved."""

import random
import re
from collections.abc import Callable

HOSTILE = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
"""Numbers that overwrite fields of 2, 4 and 8 bytes, cut to their length."""

WORDS = ("-1", "0", "1e400", "NaN", "99999999999999999999", "null", '"x"', "{}", "[" * 100_000, "9" * 5000, "true")
"""What stands in place of a number of a text."""

ENDS = 2048
"""Bytes at either end of a file, where formats keep what they say of the rest: hit by two of three changes."""


def mutated(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """The content with one to three changes, and what they are in words."""
    words = []
    changes = (*_CHANGES, *[_number_of_a_text] * len(_CHANGES)) if content.isascii() else _CHANGES
    for _ in range(draw.choice((1, 1, 2, 3))):
        change = draw.choice(changes)
        content = change(content, draw)
        words.append(change.__name__.strip("_"))
    return content, ", ".join(words)


def _place(content: bytes, draw: random.Random) -> int:
    """A byte of the content, more often one near its ends."""
    last = max(0, len(content) - 1)
    where = draw.randrange(3)
    if where == 0:
        return draw.randint(0, min(last, ENDS))
    return draw.randint(max(0, last - ENDS), last) if where == 1 else draw.randint(0, last)


def _piece(content: bytes, draw: random.Random) -> tuple[int, int]:
    start = _place(content, draw)
    return start, min(len(content), start + draw.choice((1, 4, 8, 64, 512, 4096)))


def _cut_off(content: bytes, draw: random.Random) -> bytes:
    return content[: _place(content, draw)]


def _bits_turned(content: bytes, draw: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8, 64)) if changed else 0):
        changed[_place(content, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _absurd_size(content: bytes, draw: random.Random) -> bytes:
    num_bytes = draw.choice((2, 4, 8))
    start = _place(content, draw)
    start -= start % draw.choice((1, num_bytes))
    value = draw.choice(HOSTILE) & (256**num_bytes - 1)
    return content[:start] + value.to_bytes(num_bytes, draw.choice(("little", "big"))) + content[start + num_bytes :]


def _piece_left_out(content: bytes, draw: random.Random) -> bytes:
    start, end = _piece(content, draw)
    return content[:start] + content[end:]


def _piece_doubled(content: bytes, draw: random.Random) -> bytes:
    start, end = _piece(content, draw)
    return content[:end] + content[start:end] * draw.choice((1, 1, 100)) + content[end:]


def _piece_moved(content: bytes, draw: random.Random) -> bytes:
    start, end = _piece(content, draw)
    place = _place(content, draw)
    return content[:place] + content[start:end] + content[place + end - start :]


def _piece_of_one_byte(content: bytes, draw: random.Random) -> bytes:
    start, end = _piece(content, draw)
    return content[:start] + bytes([draw.choice((0, 255, draw.randrange(256)))]) * (end - start) + content[end:]


def _number_of_a_text(content: bytes, draw: random.Random) -> bytes:
    found = list(re.finditer(rb"-?\d+(\.\d+)?", content[: 8 * ENDS]))
    if not found:
        return _bits_turned(content, draw)
    number = draw.choice(found)
    return content[: number.start()] + draw.choice(WORDS).encode() + content[number.end() :]


_CHANGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut_off,
    _bits_turned,
    _bits_turned,
    _absurd_size,
    _absurd_size,
    _piece_left_out,
    _piece_doubled,
    _piece_moved,
    _piece_of_one_byte,
    _number_of_a_text,
)
