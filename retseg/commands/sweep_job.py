"""A job of a sweep: what it leaves in its folder, and that the sweep goes on when it fails."""

import math
import sys
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from retseg.commands.failed_run import Failure, leave_failed, read_failure
from retseg.commands.sweep_folder import JOB_FILE, REFUSED
from retseg.evaluation.json_files import write_object


def run_job(config: DictConfig) -> float:
    """Train a job; gives its score, nan if it failed (in a search an error). FAILED then stands in its folder at once.

    Works in whatever process a launcher starts: all that the sweep's end needs to know is in files.
    """
    from retseg.commands.training import train

    run_dir = Path(config.paths.run_dir)
    content = _content()
    had_begun = (run_dir / "config.yaml").is_file()
    if not had_begun:
        write_object(run_dir / JOB_FILE, content)
    if _is_search() and (failure := read_failure(run_dir)) is not None:
        sys.stderr.write(f"retseg: {run_dir.name} failed before, and the search went on without it: {failure.reason}\n")
        raise RuntimeError(failure.reason)
    try:
        score = train(config)
    except Exception as error:
        failure = _keep(run_dir, error, content, had_begun)
        if _is_search():  # optuna counts an error as a failed trial, and breaks off at nan
            raise RuntimeError(failure.reason) from error
        return math.nan
    if not (run_dir / JOB_FILE).is_file():  # begun by a retseg that wrote none
        write_object(run_dir / JOB_FILE, content)
    return score


def _is_search() -> bool:
    """Whether a job's settings follow from the scores of those before it, failed ones included."""
    return "optuna" in str(HydraConfig.get().sweeper._target_)


def _content() -> dict[str, Any]:
    """Number and settings of this process's job, from Hydra."""
    hydra = HydraConfig.get()
    settings = dict(str(item).lstrip("+").split("=", 1) for item in hydra.overrides.task if "=" in str(item))
    return {"job": hydra.job.num, "settings": settings}


def _keep(run_dir: Path, error: Exception, content: dict[str, Any], had_begun: bool) -> Failure:
    """Say why a job failed: in its folder, or beside it where the folder holds a run that is not this job's."""
    failure = Failure.of(error)
    if not had_begun:
        leave_failed(run_dir, error)
    elif read_failure(run_dir) != failure:  # refused before it touched the folder
        place = run_dir.parent / REFUSED.format(number=content["job"])
        write_object(place, content | {"folder": run_dir.name, "reason": failure.reason})
    sys.stderr.write(f"retseg: {run_dir.name} failed: {failure.reason}\n")
    return failure
