"""The configuration that trains a run again in another folder, and nothing else than that run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from retseg.build import load_config
from retseg.errors import InputError
from retseg.training.moved_paths import moved_paths

HISTORY = "retseg.training.history.HistoryLogger"

_STARTED_PLAINLY = {
    "existing": "continue",  # a repeat that was cut off goes on
    "evaluate": False,
    "resume": None,
    "show_traceback": False,
    "audit": {"fail": False},
}


def repeat_config(run: Path, output: Path, data: Sequence[str] = (), num_epochs: int | None = None) -> DictConfig:
    """Of a run folder's config.yaml, with paths below the run folder moved to output.

    metrics.csv is the only logger: no dashboard gets the run twice. data: NAME=VALUE where the data lies now.
    num_epochs: train so many at most, by the schedule of the whole run. InputError for options that do not fit.
    """
    config = load_config(run)
    devices = OmegaConf.select(config, "trainer.devices")
    if devices not in (1, "auto", "1", [0]):
        raise InputError(f"{run / 'config.yaml'}: trainer.devices={devices}; only runs of one process can be repeated")
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    plain = moved_paths(plain, str(config.paths.run_dir), str(output))
    plain.update(_STARTED_PLAINLY)
    plain["logger"] = {name: node for name, node in (plain.get("logger") or {}).items() if node["_target_"] == HISTORY}
    if not plain["logger"]:
        raise InputError(f"{run / 'config.yaml'}: logs to no metrics.csv, so that nothing can be compared by epoch")
    for option in data:
        plain["data"] = _with_data(plain["data"], option)
    if num_epochs is not None:
        stop = {"_target_": "retseg.training.callbacks.stop_after.StopAfterEpochs", "epochs": num_epochs}
        plain["callbacks"] = {**(plain.get("callbacks") or {}), "stop_after": stop}
    config = OmegaConf.create(plain)
    assert isinstance(config, DictConfig)
    return config


def _with_data(data: dict[str, Any], option: str) -> dict[str, Any]:
    """Options of data with one changed, also where others were made of it."""
    name, equals, value = option.partition("=")
    old = data.get(name)
    if not equals or not value or not isinstance(old, str):
        texts = ", ".join(sorted(key for key, found in data.items() if isinstance(found, str))) or "none"
        raise InputError(f"--data {option}: expected NAME=VALUE, NAME being an option of this run's data: {texts}")
    moved: dict[str, Any] = moved_paths(data, old, value)
    return moved
