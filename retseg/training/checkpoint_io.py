"""Checkpoints that are either whole or not there."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the final name, flushes to the disk, then renames: a kill or a full disk leaves the older file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint to a local path."""
        assert storage_options is None
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(checkpoint, final)


def save_atomically(content: Mapping[str, Any], path: Path) -> None:
    """`torch.save` to a temporary file in the same folder, fsync, rename; nothing is left behind on failure."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
