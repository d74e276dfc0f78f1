"""Checkpoint files: written whole and sealed with a hash, read only if whole, and nothing in them is ever run.

A checkpoint is the zip archive that `torch.save` writes; torch, and any zip program, opens it. The archive's comment is
the seal, e.g. `retseg 0.4.0 format 1 sha256 5f0c...`: the hash is taken over all bytes before it, with the comment's
length counted as 0. It finds damage, not forgery. Later formats keep the seal as it is, so that an older retseg can say
that it is older.

What the check costs, of 100 MB in memory, on one core with SHA instructions: `torch.load` 0.04 s, `read_checkpoint`
0.10 s (2.3 times); `torch.save` 0.05 s, `save_atomically` 0.11 s. The peak of memory is that of `torch.load`.
"""

import hashlib
import os
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch.serialization import MAP_LOCATION

from retseg import __version__
from retseg.errors import InputError, one_line
from retseg.evaluation.atomic import replacing_file

FORMAT = 1
"""Number of what a checkpoint holds and how; it grows when an older retseg could not read a newer checkpoint."""

TO_GO_ON = ("state_dict", "epoch", "global_step", "loops", "optimizer_states", "lr_schedulers")
"""What a training run goes on from."""

SEAL = re.compile(rb"(retseg (\S{1,40}) format (\d{1,9}) sha256 )([0-9a-f]{64})")
END = struct.Struct("<4s4H2LH")
"""End of central directory record; the last field is the comment's length (APPNOTE 6.3.10, section 4.3.16)."""
ENDS = b"PK\x05\x06"
CHUNK = 1 << 20


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """`torch.save` and seal to a temporary file in the same folder, fsync, rename; a failure leaves nothing behind.

    InputError where it cannot be written, FullDiskError where there is no room.
    """
    with replacing_file(path) as partial, partial.open("w+b") as file:
        hashed = _Hashed(file)
        try:
            torch.save(content, hashed)  # type: ignore[arg-type]  # it writes and flushes, and asks for no more
        except RuntimeError as error:  # torch fails once more, closing what a full disk had cut off
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None
        _seal(file, hashed.digest)


def read_checkpoint(path: Path, keys: Sequence[str] = ("state_dict",), place: MAP_LOCATION = "cpu") -> dict[str, Any]:
    """The content of a checkpoint: tensors, numbers, text and containers of them alone, never code.

    InputError where the file is missing, damaged, of a newer retseg, no checkpoint, or without one of the keys. A
    checkpoint of before the seal is read if the CRC of each of its records holds. Its bytes are hashed in pieces: the
    file is never held in memory beside its tensors.
    """
    with _opened(path) as file:
        _check(path, file)
        file.seek(0)
        try:
            content = torch.load(file, map_location=place, weights_only=True)
        except Exception as error:  # whatever a stranger's bytes make of torch's unpickler
            raise InputError(f"{path}: {_reason(error)}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds a {type(content).__name__}, not a checkpoint of retseg; train again")
    if missing := [key for key in keys if key not in content]:
        raise InputError(
            f"{path}: holds no {', no '.join(missing)}; no whole checkpoint of a training run, train again"
        )
    weights = content.get("state_dict")
    if not (isinstance(weights, dict) and all(isinstance(value, torch.Tensor) for value in weights.values())):
        raise InputError(f"{path}: its state_dict is no table of tensors; no checkpoint of retseg, train again")
    return content


def check_whole(path: Path) -> None:
    """InputError where a checkpoint is not whole; nothing in it is interpreted."""
    with _opened(path) as file:
        _check(path, file)


def check_to_go_on(path: Path) -> None:
    """InputError where training cannot go on from a checkpoint: what is wrong, and which one beside it is whole."""
    try:
        check_whole(path)
    except InputError as error:
        found = _whole_beside(path)
        if found is None:
            raise InputError(f"{error}; no other checkpoint beside it is whole") from error
        other, epoch = found
        raise InputError(
            f"{error}. {other.name} beside it is whole (epoch {epoch}): copy it over {path.name} and resume again"
        ) from error


class _Hashed:
    """A file that is written front to back, and hashed meanwhile."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _seal(file: BinaryIO, digest: "hashlib._Hash") -> None:
    """Give the archive that ends here its comment."""
    words = f"retseg {__version__} format {FORMAT} sha256 ".encode()
    digest.update(words)
    seal = words + digest.hexdigest().encode()
    file.seek(-2, os.SEEK_END)  # where the archive says how long its comment is
    file.write(len(seal).to_bytes(2, "little") + seal)


def _opened(path: Path) -> BinaryIO:
    if path.is_dir():
        raise InputError(f"{path}: is a folder, no checkpoint; name a .ckpt file, or the run folder")
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no ordinary file; name a .ckpt file, or the run folder")
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such checkpoint; train the run first, or name another one") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); see its permissions, or its disk") from error


def _check(path: Path, file: BinaryIO) -> None:
    """InputError where a file is not whole, or of a newer retseg."""
    size = os.fstat(file.fileno()).st_size
    if size == 0:
        raise InputError(f"{path}: is empty (0 bytes); take it from a copy, or train again")
    if file.read(4) != b"PK\x03\x04":
        raise InputError(f"{path}: no checkpoint of retseg (it is no zip archive); name another one, or train again")
    comment = _comment(path, file, size)
    seal = SEAL.fullmatch(comment)
    if comment and seal is None:
        raise InputError(f"{path}: damaged, its seal cannot be read; take it from a copy, or train again")
    if seal is not None:
        _check_hash(path, file, size - len(comment), seal)
        if int(seal[3]) > FORMAT:
            raise InputError(
                f"{path}: made by retseg {seal[2].decode('ascii', 'replace')} (checkpoint format {int(seal[3])}), "
                f"this is {__version__}, which reads format {FORMAT}; update retseg"
            )
    _check_records(path, file, size, has_seal=seal is not None)


def _comment(path: Path, file: BinaryIO, size: int) -> bytes:
    """The archive's comment, which must end where the file ends."""
    file.seek(max(0, size - END.size - 256))
    tail = file.read()
    start = tail.rfind(ENDS)
    if start >= 0 and len(tail) - start >= END.size:
        length = END.unpack_from(tail, start)[-1]
        if len(tail) - start - END.size == length:
            return tail[start + END.size :]
    raise InputError(f"{path}: cut off, or damaged at its end; take it from a copy, or train again")


def _check_hash(path: Path, file: BinaryIO, end: int, seal: "re.Match[bytes]") -> None:
    digest = hashlib.sha256()
    file.seek(0)
    left = end - 2
    while left and (piece := file.read(min(left, CHUNK))):
        digest.update(piece)
        left -= len(piece)
    digest.update(b"\0\0" + seal[1])
    if digest.hexdigest().encode() != seal[4]:
        raise InputError(
            f"{path}: damaged, its content has sha256 {digest.hexdigest()[:12]}..., it was written with "
            f"{seal[4].decode()[:12]}...; take it from a copy, or train again"
        )


def _check_records(path: Path, file: BinaryIO, size: int, *, has_seal: bool) -> None:
    """InputError where records declare more than the file holds, are compressed, or (without a seal) fail their CRC."""
    damaged = None
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            for entry in entries:
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                    raise InputError(f"{path}: {entry.filename:.60} is packed; retseg's checkpoints are not, refused")
            if (declared := sum(entry.file_size for entry in entries)) > size:
                raise InputError(
                    f"{path}: declares {declared:,} bytes in a file of {size:,}; damaged or made to harm, refused"
                )
            damaged = None if has_seal else archive.testzip()
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        struct.error,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: damaged ({one_line(error):.120}); take it from a copy, or train again") from error
    if damaged is not None:
        raise InputError(f"{path}: damaged, {damaged:.60} fails its CRC; take it from a copy, or train again")


def _reason(error: Exception) -> str:
    """Why torch does not load a file that is whole, in words."""
    if match := re.search(r"GLOBAL (\S+)", str(error)):
        return f"holds more than numbers ({match[1]:.60}); retseg runs no code of a checkpoint, take one that it wrote"
    return (
        f"cannot be read as a checkpoint ({type(error).__name__}: {one_line(error):.100}); take one that retseg wrote"
    )


def _whole_beside(path: Path) -> tuple[Path, int] | None:
    """The newest whole checkpoint in the same folder that training can go on from, and its epoch, counted from 1."""
    found = []
    for other in sorted(path.parent.glob("*.ckpt")):
        if other != path and not other.name.startswith("."):
            try:
                found.append((int(read_checkpoint(other, TO_GO_ON)["epoch"]) + 1, other))
            except InputError:
                continue  # damaged too
    epoch, newest = max(found, default=(0, None))
    return None if newest is None else (newest, epoch)
