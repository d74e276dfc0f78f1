"""Weights & Biases: where its runs go, when they end, and that they stop nothing. No other file imports wandb."""

import logging
import netrc
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from retseg.training.environment import is_main_process

EPOCH_CURVES = ("train/*", "val/*", "train_class/*", "val_class/*", "lr")
"""What is logged once an epoch, drawn over epochs: W&B's own axis counts calls, and figures are calls too."""

INIT_S, FINISH_S = 30.0, 600.0
"""Seconds that W&B gets to start a run, and to send what is left at its end; WANDB_{INIT,FINISH}_TIMEOUT, if set."""

STOPPED = "W&B failed ({error}); training goes on without it, the run folder holds all scores and figures"


class RunLogger(WandbLogger):
    """A W&B run that nothing depends on: the first failure of W&B ends its logging with one warning, not training.

    checkpoint: whether `log_checkpoint` keeps checkpoints as artifacts.
    """

    def __init__(self, folder: Path, run: Any, checkpoint: bool) -> None:
        super().__init__(save_dir=str(folder), experiment=run)
        self.keeps_checkpoints = checkpoint
        self.has_failed = False

    def attempt(self, action: Callable[[], object]) -> None:
        """Do something with W&B; once it has failed, nothing more is tried."""
        if self.has_failed:
            return
        try:
            action()
        except Exception as error:  # of any kind: W&B raises what the socket or the disk gave it
            self.has_failed = True
            _warn(STOPPED.format(error=_told(error)))

    def log_hyperparams(self, params: Any) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunLogger, self).log_hyperparams(params))

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunLogger, self).log_metrics(metrics, step))

    def log_image(self, key: str, images: list[Any], step: int | None = None, **kwargs: Any) -> None:
        """Lightning's, attempted: the image goes into a file at once."""
        self.attempt(lambda: super(RunLogger, self).log_image(key, images, step, **kwargs))

    def log_table(self, *args: Any, **kwargs: Any) -> None:
        """Lightning's, attempted."""
        self.attempt(lambda: super(RunLogger, self).log_table(*args, **kwargs))

    @rank_zero_only
    def log_summary(self, values: Mapping[str, Any]) -> None:
        """Set final values of the run."""
        self.attempt(lambda: self.experiment.summary.update(dict(values)))

    @rank_zero_only
    def log_tags(self, tags: Iterable[str]) -> None:
        """Add tags to the run."""
        run = self.experiment
        self.attempt(lambda: setattr(run, "tags", (*(run.tags or ()), *tags)))

    @rank_zero_only
    def log_checkpoint(self, path: Path, aliases: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Keep a checkpoint as an artifact model-<run id>; offline it stays where it is until `wandb sync`."""
        if not self.keeps_checkpoints:
            return

        def keep() -> None:
            artifact = wandb.Artifact(f"model-{self.experiment.id}", type="model", metadata=dict(metadata))
            artifact.add_file(str(path), policy="immutable", skip_cache=True)  # no second copy on this disk
            self.experiment.log_artifact(artifact, aliases=list(aliases))

        self.attempt(keep)


def wandb_logger(
    project: str,
    run_dir: str,
    name: str,
    group: str | None = None,
    tags: list[str] | None = None,
    checkpoint: bool = True,
) -> RunLogger:
    """Logger that writes below run_dir/wandb: online if you are logged in, else offline; it never asks.

    WANDB_MODE, if set, decides instead. Runs of one sweep share a group, by default the sweep's folder; so do runs of
    one W&B sweep. A job that goes on in its folder is a second run of the same name, tagged "resumed".
    checkpoint: keep the best one as an artifact.
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    run = None
    if is_main_process():
        given = [*(tags or ()), *(["resumed"] if (folder / "wandb").is_dir() else ())]
        run = _started(project, folder, f"{name}/{folder.name}", group or _sweep_of(folder), given)
    logger = RunLogger(folder, run, checkpoint)
    logger.has_failed = run is not None and run.disabled  # nothing to log to
    return logger


def _started(project: str, folder: Path, name: str, group: str | None, tags: list[str]) -> Any:
    """A W&B run in the first mode that works; a mode that fails is told in one warning.

    Started here, not by Lightning, which passes on a setting that W&B warns about.
    """
    wanted = os.environ.get("WANDB_MODE") or ("online" if is_logged_in() else "offline")
    for mode in dict.fromkeys((wanted, "offline")):
        settings = wandb.Settings(
            silent=True,
            console="off",
            init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", INIT_S)),
            finish_timeout=float(os.environ.get("WANDB_FINISH_TIMEOUT", FINISH_S)),
        )
        place: dict[str, Any] = {"project": project, "dir": str(folder), "name": name, "group": group, "tags": tags}
        try:
            run = wandb.init(**place, mode=mode, settings=settings)  # type: ignore[arg-type]
            _own_log_is_quiet()
            run.define_metric("epoch")
            for curves in EPOCH_CURVES:
                run.define_metric(curves, step_metric="epoch")
            return run
        except Exception as error:  # of any kind: no network, no server, no disk; nothing of it stops a training
            _warn(f"W&B does not start {mode} ({_told(error)})")
            _let_go()
    return wandb.init(mode="disabled")


def _own_log_is_quiet() -> None:
    """W&B's own log file (debug.log) may fail in silence: Python would show a traceback a line, a run loses nothing."""
    for handler in logging.getLogger("wandb").handlers:
        handler.handleError = lambda record: None  # type: ignore[method-assign]


def _sweep_of(folder: Path) -> str | None:
    """Group of a sweep's job: the names of the run and the sweep, e.g. duke_segnet_cpu/kfold; of a single run None.

    A sweep that is started again goes on in its group. The group of a W&B agent's job is the id of its sweep.
    """
    if (folder.parent / "multirun.yaml").exists():
        return "/".join(folder.parent.parts[-2:])
    return os.environ.get("WANDB_SWEEP_ID")


def is_logged_in() -> bool:
    """Whether W&B would find an API key without asking: in WANDB_API_KEY, or in the netrc file for its server."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = os.environ.get("WANDB_BASE_URL")
    places = [server] if server else [wandb.Settings().base_url, "https://api.wandb.ai"]  # W&B's name now and once
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        entries = netrc.netrc(path)
        return any(entries.authenticators(urlparse(place).netloc) for place in places)
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def finish() -> None:
    """End the run of this process, if there is one: the next job of a sweep must not write into it."""
    if wandb.run is None:
        return
    try:
        wandb.finish()
    except Exception as error:  # of any kind, as above
        _warn(f"W&B does not finish its run ({_told(error)}); `wandb sync` may save it")
        _let_go()


def _let_go() -> None:
    """Forget W&B's own process, which may be dead: the next job gets a new one."""
    with suppress(Exception):  # it fails where the process is dead, after having forgotten it
        wandb.teardown()


def _warn(text: str) -> None:
    """A warning in one line: where in this file it arose helps nobody."""
    warnings.warn_explicit(text, UserWarning, filename="retseg", lineno=0)


def _told(error: Exception) -> str:
    """Kind and first line of an error."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
