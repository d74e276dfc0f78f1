"""Options whose wrong type or value the libraries below would notice late, or with a traceback: refused at once."""

from collections.abc import Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from retseg.errors import InputError

WHOLE_NUMBERS = {
    "seed": (0, 2**32 - 1),  # NumPy's
    "data.batch_size": (1, None),
    "data.num_workers": (0, None),
    "trainer.max_epochs": (1, None),
    "trainer.accumulate_grad_batches": (1, None),
    "trainer.check_val_every_n_epoch": (1, None),
    "trainer.log_every_n_steps": (1, None),
    "callbacks.predictions.every_n_epochs": (1, None),
    "callbacks.gradcam.every_n_epochs": (1, None),
}
"""Options that are whole numbers, with their lowest and highest value."""
SWITCHES = ("evaluate", "audit.fail", "show_traceback")


def check_ranges(config: DictConfig) -> None:
    """InputError for the first of these options that is wrong. One that a configuration lacks is not looked at."""
    for name, (lowest, highest) in WHOLE_NUMBERS.items():
        found = OmegaConf.select(config, name, default=lowest)
        is_whole = isinstance(found, int) and not isinstance(found, bool)
        if not is_whole or found < lowest or (highest is not None and found > highest):
            wanted = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
            raise InputError(f"{name}={_shown(found)}: expected a whole number, {wanted}")
    for name in SWITCHES:
        if not isinstance(found := OmegaConf.select(config, name, default=False), bool):
            raise InputError(f"{name}={_shown(found)}: expected true or false")
    if (cache := OmegaConf.select(config, "data.cache", default=True)) not in (True, False, "auto"):
        raise InputError(f"data.cache={_shown(cache)}: expected true, false or auto")
    every, epochs = (
        OmegaConf.select(config, f"trainer.{name}", default=1) for name in ("check_val_every_n_epoch", "max_epochs")
    )
    if every > epochs:
        raise InputError(
            f"trainer.check_val_every_n_epoch={every}: more than trainer.max_epochs={epochs}, nothing would be "
            "validated or kept; lower it"
        )
    size = OmegaConf.select(config, "data.size")
    if size is not None and not _is_size(size):
        raise InputError(
            f"data.size={_shown(size)}: expected whole numbers of pixels, [height,width], or null (scans as they are)"
        )


def _is_size(found: Any) -> bool:
    if not isinstance(found, Sequence) or isinstance(found, str) or len(found) != 2:
        return False
    return all(isinstance(number, int) and number >= 1 for number in found)


def _shown(value: Any) -> str:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return "null" if plain is None else f"{plain}"
