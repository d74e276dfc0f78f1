"""Paths of a run folder that lies elsewhere now."""

from pathlib import Path
from typing import Any


def moved_paths(node: Any, old: str, new: str) -> Any:
    """Plain values, nested in lists and mappings, with every path at or below `old` moved to `new`, keys too."""
    if isinstance(node, dict):
        return {moved_paths(key, old, new): moved_paths(value, old, new) for key, value in node.items()}
    if isinstance(node, list):
        return [moved_paths(value, old, new) for value in node]
    if not isinstance(node, str):
        return node
    below = old.rstrip("/") + "/"
    if node == old or node.startswith(below):
        return str(Path(new) / node[len(below) :])
    return node


def at_home(callbacks: dict[str, Any], folder: Path) -> dict[str, Any]:
    """States of a checkpoint's callbacks with the paths of the folder that it lies in, wherever it was written.

    Lightning forgets the best score of a folder that was moved.
    """
    return {
        name: moved_paths(state, state["dirpath"], str(folder))
        if isinstance(state, dict) and state.get("dirpath")
        else state
        for name, state in callbacks.items()
    }
