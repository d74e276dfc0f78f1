"""Options whose wrong type or value the libraries below would notice late, or with a traceback: refused at once."""

import math
from collections.abc import Callable, Sequence
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
    "trainer.min_epochs": (0, None),
    "trainer.min_steps": (0, None),
    "trainer.max_steps": (-1, None),
    "trainer.num_sanity_val_steps": (-1, None),
    "callbacks.predictions.every_n_epochs": (1, None),
    "callbacks.gradcam.every_n_epochs": (1, None),
    "callbacks.early_stopping.patience": (0, None),
}
"""Options that are whole numbers, with their lowest and highest value."""
MAY_BE_NULL = {"trainer.min_epochs", "trainer.min_steps", "trainer.num_sanity_val_steps", "trainer.log_every_n_steps"}
"""Those of them that Lightning has a value for."""
NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "trainer.gradient_clip_val": (lambda value: 0 <= value < math.inf, "0 or more (0 or null: gradients are left)"),
    "trainer.limit_train_batches": (lambda value: value > 0, "more than 0, a share up to 1.0 or whole batches"),
    "trainer.limit_val_batches": (lambda value: value > 0, "more than 0, a share up to 1.0 or whole batches"),
    "trainer.val_check_interval": (lambda value: value > 0, "more than 0, a share of an epoch or whole batches"),
}
"""Options that may be a number, what it has to be, and how that is said; what is none (null, a time) is Lightning's."""
SWITCHES = ("evaluate", "audit.fail", "show_traceback")


def check_ranges(config: DictConfig) -> None:
    """InputError for the first of these options that is wrong. One that a configuration lacks is not looked at."""
    _check_whole_numbers(config)
    _check_numbers(config)
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


def _check_whole_numbers(config: DictConfig) -> None:
    for name, (lowest, highest) in WHOLE_NUMBERS.items():
        found = OmegaConf.select(config, name, default=lowest)
        if found is None and name in MAY_BE_NULL:
            continue
        is_whole = isinstance(found, int) and not isinstance(found, bool)
        if not is_whole or found < lowest or (highest is not None and found > highest):
            wanted = f"{lowest} or more" if highest is None else f"{lowest} to {highest}"
            raise InputError(f"{name}={_shown(found)}: expected a whole number, {wanted}")


def _check_numbers(config: DictConfig) -> None:
    for name, (is_right, wanted) in NUMBERS.items():
        found = OmegaConf.select(config, name)
        if isinstance(found, int | float) and (isinstance(found, bool) or not is_right(found)):
            raise InputError(f"{name}={_shown(found)}: expected a number, {wanted}")
    if OmegaConf.select(config, "trainer.max_steps") == 0:
        raise InputError("trainer.max_steps=0: nothing would be trained; take 1 or more, or -1 (no limit)")


def _is_size(found: Any) -> bool:
    if not isinstance(found, Sequence) or isinstance(found, str) or len(found) != 2:
        return False
    return all(isinstance(number, int) and number >= 1 for number in found)


def _shown(value: Any) -> str:
    plain = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return "null" if plain is None else f"{plain}"
