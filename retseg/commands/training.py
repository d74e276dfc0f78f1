"""One training job from its configuration to its scores: what `python -m retseg.train` runs."""

import contextlib
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retseg.build import Run, build_data, build_run, load_config
from retseg.commands.evaluate import evaluate_run, tell
from retseg.commands.existing_run import existing_run, is_evaluated
from retseg.commands.failed_run import failure_kept
from retseg.commands.interrupted_training import interrupts_told
from retseg.commands.later_audit import audited_later
from retseg.commands.option_ranges import check_ranges
from retseg.commands.read_scans import read_and_audit
from retseg.commands.run_lock import run_locked
from retseg.commands.run_summary import RunMetrics, draw_figures, print_next, print_summary, run_tags, save_metrics
from retseg.commands.start_weights import load_start, refuse_other_checkpoint
from retseg.commands.sweep import SweepStart
from retseg.commands.sweep_processes import refuse_sweep_of_processes
from retseg.commands.training_faults import faults_told
from retseg.data.audit import Audit
from retseg.errors import InputError
from retseg.evaluation.atomic import remove_partial, replacing_file
from retseg.targets import check_names
from retseg.training import wandb_run
from retseg.training.callbacks.stay_stopped import StayStopped
from retseg.training.checkpoint_file import check_to_go_on, read_checkpoint
from retseg.training.environment import is_main_process, record_start
from retseg.training.evaluation import SetScores, score_set
from retseg.training.log_figure import log_checkpoint, log_summary, log_tags
from retseg.training.moved_paths import moved_paths
from retseg.training.processes import lost_process_told, refuse_too_few_scans
from retseg.training.undrawn import Undrawn, undrawn_lines

# Lightning tells on every start which limits are at their defaults, and tips; its warnings stay.
logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # the data is held in memory, workers make it slower (`make bench`)
    r"Checkpoint directory .* exists and is not empty.*",  # a resumed run goes on in its own folder
    r".*sync_dist=True.*when logging on epoch level.*",  # scores are of all processes' scans already
    r".*isinstance\(treespec, LeafSpec\).*",  # a call inside Lightning that torch has since deprecated
)


def train(config: DictConfig, checkpoint: Path | None = None) -> float:
    """Train (on from a checkpoint), score the best one, draw. Gives the macro Dice of the layers on validation.

    InputError at once where another process trains in the run folder; of several processes the first holds it for all.
    """
    check_names(config)
    check_ranges(config)
    run_dir = Path(config.paths.run_dir)
    with contextlib.ExitStack() as stack:
        stack.enter_context(interrupts_told(run_dir))
        if is_main_process():
            stack.enter_context(run_locked(run_dir))
            remove_partial(run_dir)  # what a kill left; nobody else is at work here
        return _train_if_need_be(config, run_dir, checkpoint)


def _train_if_need_be(config: DictConfig, run_dir: Path, checkpoint: Path | None) -> float:
    is_main = is_main_process()
    console = Console(soft_wrap=True, highlight=False, quiet=not is_main)
    # Of several processes the first alone refuses: it has written config.yaml when the others start.
    looks = is_main or config.existing == "continue"
    if looks and checkpoint is None and (run_dir / "config.yaml").exists():
        found = existing_run(run_dir, config)
        if found.score is not None:
            if is_main and config.evaluate and not is_evaluated(run_dir):
                console.print(f"run folder   {run_dir}: trained already, not evaluated yet")
                tell(*evaluate_run(run_dir))
            else:
                console.print(f"run folder   {run_dir}: done already, left as it is")
            return found.score
        checkpoint = found.checkpoint
    if checkpoint is not None:
        check_to_go_on(checkpoint)
    # Deterministic mode would fill all fresh memory with nan: 3 % of a step, to find bugs that PyTorch's tests find.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    seed_everything(config.seed, workers=True, verbose=False)
    with warnings.catch_warnings():
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        try:
            with failure_kept(run_dir), faults_told(run_dir, config):
                return _train(console, config, run_dir, checkpoint)
        finally:
            wandb_run.finish()


def _train(console: Console, config: DictConfig, run_dir: Path, checkpoint: Path | None) -> float:
    data = build_data(config)
    audit = read_and_audit(console, data, config) if config.audit.fail else None  # loggers write when they are made
    run = build_run(config, data)
    refuse_sweep_of_processes(run.trainer)
    refuse_too_few_scans(run.trainer, data)
    if checkpoint is not None:
        refuse_other_checkpoint(run.module, checkpoint, config.trainer.max_epochs)  # before config.yaml is written anew
    elif config.get("start") is not None:
        load_start(run.module.net, Path(config.start))
    _describe(console, run, run_dir)
    audit = audit or read_and_audit(console, data, config)
    console.print(f"split        {data.split.rule}: {audit.stamp}")
    _save_inputs(run, audit, config, run_dir)
    for logger in run.trainer.loggers:
        plain = _plain(config)
        logger.log_hyperparams(plain | {"stamp": audit.stamp, "audit": plain["audit"] | {"verdict": audit.verdict}})
    log_tags(run.trainer, run_tags(audit, run.data.source.label_origin))
    if checkpoint is not None:
        run.trainer.callbacks.append(StayStopped())  # type: ignore[attr-defined]  # Lightning sets it undeclared
    with audited_later(console, run_dir, audit) as complete_audit:
        with lost_process_told(run.trainer, run_dir):
            run.trainer.fit(run.module, datamodule=run.data, ckpt_path=checkpoint)
        if not is_main_process():
            return run.trainer.callback_metrics["val/dice_macro_layers"].item()  # the first process does what remains
        metrics = _score_best(console, run, complete_audit())
    undrawn = Undrawn()
    with undrawn.drawing("curves and confusion matrix"):
        draw_figures(run.trainer, metrics, run_dir)
    save_metrics(metrics, run_dir)  # says that the run is done: after its figures
    log_summary(run.trainer, metrics.best)
    log_checkpoint(run.trainer, metrics.checkpoint, ("best", "latest"), metrics.best)
    print_summary(console, metrics, run_dir, [*undrawn_lines(run.trainer), *undrawn.lines])
    if config.evaluate:
        tell(*evaluate_run(run_dir))
    if SweepStart.folder is None:
        print_next(console, run_dir)
    return metrics.val.scores["dice_macro_layers"]


def resume(run_dir: Path, options: Sequence[str]) -> float:
    """Go on with a run folder: its own configuration, with options ("a.b=VALUE") on top, from its last checkpoint.

    A folder that was moved or copied goes on where it lies now.
    """
    config = load_config(run_dir)
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        raise InputError(f"{checkpoint}: no such file, nothing to resume; start the run anew without resume=")
    for option in options:
        name, equals, value = option.partition("=")
        if not equals or OmegaConf.select(config, name, default=_MISSING) is _MISSING:
            raise InputError(
                f"{option}: {run_dir / 'config.yaml'} has no such option; give single options as a.b=VALUE"
            )
        if OmegaConf.is_config(OmegaConf.select(config, name)):
            raise InputError(f"{option}: a resumed run keeps its {name}; only single options can be changed")
        OmegaConf.update(config, name, OmegaConf.create(f"value: {value}").value)
    here = moved_paths(_plain(config), str(config.paths.run_dir), str(run_dir.resolve()))
    return train(OmegaConf.create(here), checkpoint)


_MISSING = object()


def _describe(console: Console, run: Run, run_dir: Path) -> None:
    """Say what is about to happen, before it does."""
    source, split = run.data.source, run.data.split
    parameters = sum(parameter.numel() for parameter in run.module.net.parameters())
    console.print(f"run folder   {run_dir}")
    counts = f"{len(split.train)} train, {len(split.val)} val"
    console.print(f"scans        {source.name}, labels {source.label_origin}: {counts}")
    console.print(f"input        {_describe_input(run)}")
    console.print(f"network      {type(run.module.net).__name__}, {parameters:,} parameters")


def _describe_input(run: Run) -> str:
    """What the network sees of a scan: nothing is cropped or resized in silence."""
    dataset = run.data.train_dataset
    window = "whole scans" if dataset.crop is None else f"{dataset.crop}"
    size = "at their own size" if dataset.size is None else "resized to {} x {} px".format(*dataset.size)
    return f"{window}, {size}"


def _save_inputs(run: Run, audit: Audit, config: DictConfig, run_dir: Path) -> None:
    """config.yaml (resolved), split.json, audit.json and environment.json, by the first of several processes.

    Scores of a run that was done and now goes on, maybe for more epochs, are taken away: it is not done until they are
    made anew.
    """
    if not is_main_process():
        return
    (run_dir / "metrics.json").unlink(missing_ok=True)
    for name, save in (("split.json", run.data.split.save), ("audit.json", audit.save)):
        with replacing_file(run_dir / name) as partial:
            save(partial)
    with replacing_file(run_dir / "config.yaml") as partial:
        OmegaConf.save(config, partial, resolve=True)
    record_start(run_dir / "environment.json", config.seed)


def _plain(config: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(name): value for name, value in container.items()}


def _score_best(console: Console, run: Run, audit: Audit) -> RunMetrics:
    """Scores of the best checkpoint on validation and on training scans, each seen once."""
    keepers = [callback for callback in run.trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
    keeper = next(keeper for keeper in keepers if keeper.monitor is not None)
    path = Path(keeper.best_model_path)
    best = read_checkpoint(path)
    run.module.load_state_dict(best["state_dict"])
    total = len(run.data.split.train) + len(run.data.split.val)
    columns = (TextColumn("scoring the best checkpoint"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=total)

        def scored(loader: Any) -> SetScores:
            names, module = run.module.class_names, run.module
            return score_set(module.net, module.loss, loader, names, lambda scans: progress.advance(task, scans))

        train_loader, val_loader = run.data.scoring_loaders()
        val, train_scores = scored(val_loader), scored(train_loader)
    epoch = best["epoch"] + 1
    return RunMetrics.of(run.module, run.data, audit, train_scores, val, path, epoch, chosen_by(keeper))


def chosen_by(keeper: ModelCheckpoint) -> str:
    """Why the best checkpoint is the best, in words. monitor=epoch, mode=max: the last one, whatever it scores."""
    if keeper.monitor == "epoch":
        return f"{'last' if keeper.mode == 'max' else 'first'} epoch: no score has chosen it"
    extreme = "lowest" if keeper.mode == "min" else "highest"
    return f"{extreme} {keeper.monitor}: scores on the same validation scans are that much optimistic"
