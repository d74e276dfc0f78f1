"""How Lightning writes and reads checkpoints: whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric.plugins import TorchCheckpointIO

from retseg.training.checkpoint_file import TO_GO_ON, read_checkpoint, save_atomically
from retseg.training.moved_paths import at_home


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside the final name, flushes to the disk, then renames: a kill or a full disk leaves the older file.

    Reads as `read_checkpoint` does: nothing that is damaged, and nothing but numbers and text.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None) -> None:
        """Write a checkpoint to a local path."""
        assert storage_options is None
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        save_atomically(checkpoint, final)

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Callable[..., Any] | None = lambda storage, loc: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Content of a whole checkpoint. weights_only: true, whatever is asked for. InputError as `read_checkpoint`."""
        content = read_checkpoint(Path(path), TO_GO_ON, map_location)
        if "callbacks" in content:
            content["callbacks"] = at_home(content["callbacks"], Path(path).resolve().parent)
        return content
