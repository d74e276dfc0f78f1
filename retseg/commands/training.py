"""One training job from its configuration to its scores: what `python -m retseg.train` runs."""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.exceptions import SIGTERMException
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retseg.build import Run, build_run, load_config
from retseg.commands.run_summary import RunMetrics, draw_figures, print_summary, save_metrics
from retseg.errors import InputError
from retseg.training import wandb_run
from retseg.training.environment import describe_environment
from retseg.training.evaluation import SetScores, score_set
from retseg.training.log_figure import log_summary

# Lightning tells on every start which limits are at their defaults, and tips; its warnings stay.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
# A call inside Lightning that torch has since deprecated.
warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
# Lightning suggests loader workers; the data is held in memory and workers make it slower (measured by `make bench`).
warnings.filterwarnings("ignore", message=".*does not have many workers.*")
# Lightning would rather write metrics after 50 steps; retseg logs once an epoch.
warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")


def train(config: DictConfig) -> float:
    """Train, score the best checkpoint, draw. Gives the macro Dice of the layers on validation."""
    console = Console(soft_wrap=True, highlight=False)
    checkpoint = None
    if config.resume is not None:
        config, checkpoint = _resumed(config)
    run_dir = Path(config.paths.run_dir)
    seed_everything(config.seed, workers=True, verbose=False)
    try:
        run = build_run(config)
        _describe(console, run, run_dir)
        _read_scans(console, run)
        _save_inputs(run, config, run_dir)
        run.trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint)
        metrics = _score_best(console, run)
        save_metrics(metrics, run_dir)
        draw_figures(run.trainer, metrics, run_dir)
        log_summary(run.trainer, {f"best/{name}": value for name, value in metrics.val.scores.items()})
        print_summary(console, metrics, run_dir)
        return metrics.val.scores["dice_macro_layers"]
    except SIGTERMException:
        raise SystemExit(143) from None
    finally:
        wandb_run.finish()


def _resumed(config: DictConfig) -> tuple[DictConfig, Path]:
    """The saved configuration of a run folder with this command line's options on top, and its last checkpoint."""
    from hydra.core.hydra_config import HydraConfig

    run_dir = Path(config.resume)
    saved = load_config(run_dir)
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: no such file, nothing to resume; start the run anew without resume=")
    for override in HydraConfig.get().overrides.task:
        option, _, value = override.partition("=")
        if option == "resume":
            continue
        if "." not in option or OmegaConf.select(saved, option, default=_MISSING) is _MISSING:
            raise InputError(f"{override}: a resumed run keeps its {option}; only single options can be changed")
        OmegaConf.update(saved, option, OmegaConf.create(f"value: {value}").value)
    saved.paths.run_dir = str(run_dir)
    return saved, checkpoint


_MISSING = object()


def _describe(console: Console, run: Run, run_dir: Path) -> None:
    """Say what is about to happen, before it does."""
    source, split = run.data.source, run.data.split
    parameters = sum(parameter.numel() for parameter in run.module.net.parameters())
    console.print(f"run folder   {run_dir}")
    counts = f"{len(split.train)} train, {len(split.val)} val"
    console.print(f"scans        {source.name}, labels {source.label_origin}: {counts}")
    console.print(f"split        {split.rule}: {split.stamp}")
    console.print(f"network      {type(run.module.net).__name__}, {parameters:,} parameters")


def _read_scans(console: Console, run: Run) -> None:
    """Read and check every scan before the first step, with a bar; then what the reader noticed."""
    total = len(run.data.split.train) + len(run.data.split.val)
    columns = (TextColumn("reading scans"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)
        run.data.read_all(lambda name: progress.advance(task))
    for notice in run.data.source.notices:
        console.print(f"notice       {notice}")


def _save_inputs(run: Run, config: DictConfig, run_dir: Path) -> None:
    """config.yaml (resolved), split.json and environment.json."""
    run_dir.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, run_dir / "config.yaml", resolve=True)
    run.data.split.save(run_dir / "split.json")
    (run_dir / "environment.json").write_text(json.dumps(describe_environment(), indent=1) + "\n")


def _score_best(console: Console, run: Run) -> RunMetrics:
    """Scores of the best checkpoint (lowest val/loss) on validation and on training scans, each seen once."""
    keeper = next(c for c in run.trainer.callbacks if isinstance(c, ModelCheckpoint))  # type: ignore[attr-defined]
    best: dict[str, Any] = torch.load(keeper.best_model_path, map_location="cpu", weights_only=True)
    run.module.load_state_dict(best["state_dict"])
    total = len(run.data.split.train) + len(run.data.split.val)
    columns = (TextColumn("scoring the best checkpoint"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def scored(loader: Any) -> SetScores:
            names, module = run.module.class_names, run.module
            return score_set(module.net, module.loss, loader, names, lambda scans: progress.advance(task, scans))

        val, train_scores = scored(run.data.val_dataloader()), scored(run.data.train_dataloader())
    checkpoint = Path(keeper.best_model_path)
    return RunMetrics.of(run.module, run.data, train_scores, val, checkpoint, epoch=best["epoch"] + 1)
