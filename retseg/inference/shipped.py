"""Weights that come with retseg: trained on made-up scans alone, so that they belong to nobody and may be shared."""

from importlib.resources import files
from pathlib import Path

ZERO_SHOT = "zero_shot"
NAMES = (ZERO_SHOT,)


def shipped_weights(name: str = ZERO_SHOT) -> Path:
    """Where the .safetensors file of a name is; see MODEL_CARD.md beside it."""
    assert name in NAMES, name
    return Path(str(files("retseg") / "weights" / f"{name}.safetensors"))
