"""What is to be done where a run folder is there already: nothing if it is done, go on if it was cut off."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from retseg.build import load_config
from retseg.commands.failed_run import FAILED
from retseg.errors import InputError
from retseg.evaluation.json_files import read_object
from retseg.evaluation.output import read_metrics

OWN_TO_A_START = ("existing", "evaluate", "resume", "show_traceback", "paths", "audit")
"""Options that say how a run is started, not what it is."""

ABSENT = "absent"


@dataclass(frozen=True)
class ExistingRun:
    """A run folder of the same configuration: its score if it is done, else the checkpoint to go on from, if any."""

    score: float | None
    checkpoint: Path | None


def existing_run(run_dir: Path, config: DictConfig) -> ExistingRun:
    """What is in a run folder. InputError where another configuration trained there, or where existing=refuse."""
    if config.existing not in ("refuse", "continue"):
        raise InputError(f"existing={config.existing}: expected refuse or continue")
    checkpoint, metrics = run_dir / "checkpoints" / "last.ckpt", run_dir / "metrics.json"
    if config.existing == "refuse":
        goes_on = f"resume={run_dir}" if checkpoint.is_file() else "existing=continue (it came to no checkpoint)"
        raise InputError(f"{run_dir}: holds a run already; go on with {goes_on}, or choose another hydra.run.dir")
    _refuse_another_configuration(run_dir, config)
    if metrics.is_file() and not (run_dir / FAILED).is_file():  # it may have failed after its scores were written
        return ExistingRun(json.loads(metrics.read_text())["val"]["scores"]["dice_macro_layers"], None)
    return ExistingRun(None, checkpoint if checkpoint.is_file() else None)


def is_evaluated(run_dir: Path) -> bool:
    """Whether a done run has an evaluation of the weights that it was scored with: one that was extended has others."""
    evaluated = read_metrics(run_dir / "evaluation")
    if evaluated is None:
        return False
    scored = read_object(run_dir / "metrics.json")["checkpoint"]["weights_sha256"]
    return bool(evaluated.get("checkpoint", {}).get("weights_sha256") == scored)


def _refuse_another_configuration(run_dir: Path, config: DictConfig) -> None:
    saved, wanted = dict(_options(load_config(run_dir))), dict(_options(config))
    for name in sorted(saved.keys() | wanted.keys()):
        old, new = saved.get(name, ABSENT), wanted.get(name, ABSENT)
        if old != new:
            raise InputError(
                f"{run_dir}: was trained with {name}={old}, now it is {new}; choose another folder or remove this one"
            )


def _options(config: DictConfig) -> Iterator[tuple[str, Any]]:
    """Every single option of a configuration with its dotted name, resolved; those that say how to start left out.

    The run folder itself reads RUN: a folder that was moved holds the same run.
    """
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    run_dir = str(config.paths.run_dir)

    def walk(node: Any, place: str) -> Iterator[tuple[str, Any]]:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                yield from walk(value, f"{place}.{key}" if place else str(key))
        else:
            yield place, node.replace(run_dir, "RUN") if isinstance(node, str) else node

    for key, value in container.items():
        if key not in OWN_TO_A_START:
            yield from walk(value, str(key))
