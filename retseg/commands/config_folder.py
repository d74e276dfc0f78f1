"""Where conf/ lies, and a configuration composed from it outside a training."""

from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig

_PACKAGE = Path(__file__).parents[1]

CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""conf/ inside the package where retseg is installed, beside it in a checkout."""


def compose_config(options: Sequence[str] = ()) -> DictConfig:
    """The configuration that `python -m retseg.train` would compose from these options. Hydra's errors pass through."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", list(options))
