"""Weights & Biases: where its runs go, and when they end. No other file imports wandb."""

import netrc
import os
from pathlib import Path
from urllib.parse import urlparse

import wandb
from lightning.pytorch.loggers import WandbLogger

from retseg.training.environment import is_main_process


def wandb_logger(
    project: str, run_dir: str, name: str, group: str | None = None, tags: list[str] | None = None
) -> WandbLogger:
    """Logger that writes below run_dir/wandb: online if you are logged in, else offline; it never asks.

    WANDB_MODE, if set, decides instead. Runs of one sweep share a group, by default the sweep's folder.
    """
    folder = Path(run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE") or ("online" if is_logged_in() else "offline")
    # The run's name and the sweep's, e.g. duke_segnet_cpu/kfold: a sweep that is started again goes on in its group.
    sweep = "/".join(folder.parent.parts[-2:]) if (folder.parent / "multirun.yaml").exists() else None
    run = None
    if is_main_process():
        # Started here, not by Lightning, which passes on a setting that W&B warns about.
        run = wandb.init(
            project=project,
            dir=str(folder),
            name=f"{name}/{folder.name}",
            group=group or sweep,
            tags=tags,
            mode=mode,  # type: ignore[arg-type]
            settings=wandb.Settings(silent=True, console="off"),
        )
    return WandbLogger(save_dir=str(folder), experiment=run)


def is_logged_in() -> bool:
    """Whether W&B would find an API key without asking: in WANDB_API_KEY, or in the netrc file for its server."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    path = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        return netrc.netrc(path).authenticators(host) is not None
    except (FileNotFoundError, netrc.NetrcParseError):
        return False


def finish() -> None:
    """End the run of this process, if there is one: the next job of a sweep must not write into it."""
    if wandb.run is not None:
        wandb.finish()
