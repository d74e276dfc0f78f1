"""From configuration to objects, and from a run folder to its network. Nothing else calls `instantiate`."""

import inspect
import types
import typing
from collections import abc
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra.utils
import torch
from hydra.errors import InstantiationException
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from pydantic import TypeAdapter, ValidationError
from torch import nn

from retseg.anatomy import NUM_CLASSES
from retseg.data.source import ScanSource
from retseg.data.sources.shuffled import ShuffledLabels
from retseg.errors import InputError, one_line
from retseg.evaluation.inference import Frame
from retseg.stored_config import load_config as load_config
from retseg.targets import check_targets
from retseg.training.checkpoint_file import read_checkpoint
from retseg.training.datamodule import OctDataModule
from retseg.training.joint import refuse_joint_losses_without_targets
from retseg.training.module import SegmentationModule
from retseg.training.other_weights import other_weights

PLAIN = (int, float, bool, str, type(None))


@dataclass(frozen=True)
class Run:
    """The objects of a training run."""

    module: SegmentationModule
    data: OctDataModule
    trainer: Trainer


def build_run(config: DictConfig, data: OctDataModule | None = None) -> Run:
    """All objects of a run, from its composed configuration. InputError names the option that is wrong.

    data, if it has been built already, is taken as it is. Loggers may write into the run folder when they are made.
    """
    data = data or build_data(config)
    net = build_net(config)
    for part in net.modules():
        fetch = getattr(part, "fetch_pretrained", None)
        if callable(fetch):
            fetch()  # here alone: a run that is opened has weights of its own
    loss = make(config.loss, "loss")
    _refuse_other_classes(net)
    if hasattr(loss, "check"):
        loss.check(NUM_CLASSES)
    refuse_joint_losses_without_targets(loss, net, data.targets)
    optimizer, schedule = make(config.optimizer, "optimizer"), make(config.scheduler, "scheduler")
    _refuse_settings_that_fail_late(config, net, optimizer)
    augmentation = make(config.augmentation, "augmentation")
    teacher = make(config.get("teacher"), "teacher")  # run folders of before have no such option
    module = SegmentationModule(
        net, loss, optimizer, schedule, seed=config.seed, augmentation=augmentation, teacher=teacher
    )
    callbacks: list[Callback] = _make_all(config.callbacks, "callbacks")
    if teacher is not None:
        teacher.check(callbacks)
    loggers: list[Logger] = _make_all(config.logger, "logger")
    check_types(config.trainer, "trainer")
    trainer = make(config.trainer, "trainer", callbacks=callbacks, logger=loggers or False)
    return Run(module, data, trainer)


def build_data(config: DictConfig, *, downloads: bool = True) -> OctDataModule:
    """Source, split and batches of a configuration. data.shuffled_labels: every scan carries another's labels."""
    source = build_source(config, downloads=downloads)
    if config.data.get("shuffled_labels"):
        source = ShuffledLabels(source, config.seed)
    split = make(config.split, "split")
    settings = {name: config.data[name] for name in ("batch_size", "num_workers", "cache")}
    settings["targets"] = config.data.get("targets", [])  # run folders of before have no such option
    node = OmegaConf.create({"_target_": "retseg.training.datamodule.OctDataModule", **settings})
    check_types(node, "data")
    size = None if config.data.size is None else tuple(config.data.size)
    crop = make(config.data.crop, "data.crop")
    return OctDataModule(source, split, size=size, crop=crop, seed=config.seed, **settings)


def build_net(config: DictConfig) -> nn.Module:
    """The network of a configuration, with initial weights drawn from its seed."""
    torch.manual_seed(config.seed)
    net: nn.Module = make(config.model, "model")
    return net


def load_net(run_dir: Path, checkpoint: str = "best") -> nn.Module:
    """The network of a run folder with the weights of checkpoints/<checkpoint>.ckpt, in eval mode, on the CPU.

    InputError where the checkpoint is not whole (see `read_checkpoint`) or is of another network.
    """
    config = load_config(run_dir)
    path = run_dir / "checkpoints" / f"{checkpoint}.ckpt"
    state = read_checkpoint(path)["state_dict"]
    net = build_net(config)
    weights = {name.removeprefix("net."): value for name, value in state.items() if name.startswith("net.")}
    if difference := other_weights(net.state_dict(), weights):
        raise InputError(
            f"{path}: weights of another network than that of {run_dir / 'config.yaml'}, {difference}; put back the "
            "configuration that they were trained with, or train again"
        )
    net.load_state_dict(weights)
    return net.eval()


def build_source(config: DictConfig, *, downloads: bool = False) -> ScanSource:
    """The source of a configuration, opened; no pixels are read.

    Without downloads (a run folder is looked at, maybe a stranger's) a source that would fetch its data does not.
    """
    node = config.data.source if downloads else _without_downloads(config.data.source)
    source: ScanSource = make(node, "data.source")
    return source


def _without_downloads(node: Any) -> Any:
    """A copy of a source's node in which none, however deep inside, may download."""
    if OmegaConf.is_config(node):
        return OmegaConf.create(_without_downloads(OmegaConf.to_container(node, resolve=True)))
    if isinstance(node, dict):
        return {key: False if key == "download" else _without_downloads(value) for key, value in node.items()}
    return [_without_downloads(value) for value in node] if isinstance(node, list) else node


def build_frame(config: DictConfig, columns: tuple[int, int] | None = None) -> Frame:
    """How scans come to the network of a configuration; columns: the scan's own ones that are scored, None: all."""
    size = None if config.data.size is None else (int(config.data.size[0]), int(config.data.size[1]))
    return Frame(make(config.data.crop, "data.crop"), size, columns)


def make(node: DictConfig | None, place: str, **settings: Any) -> Any:
    """The object of a node with `_target_`; None for none. InputError: an option is of the wrong type or value."""
    if node is None:
        return None
    check_targets(node, place)
    check_types(node, place)
    try:
        return hydra.utils.instantiate(node, **settings, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, InputError):
            raise cause from error
        if isinstance(cause, TypeError | ValueError | MisconfigurationException | RuntimeError):
            raise InputError(f"{place}: {one_line(cause)}; see what `--cfg job` prints for {place}") from error
        raise


def _make_all(nodes: DictConfig | None, place: str) -> list[Any]:
    """The objects of a group of nodes; null entries are left out."""
    return [make(node, f"{place}.{name!s}") for name, node in (nodes or {}).items() if node is not None]


def check_types(node: DictConfig, place: str) -> None:
    """InputError where an option's value is not of the type that its target's signature names (plain types only)."""
    target = hydra.utils.get_object(node._target_)
    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(function)
    for name, value in node.items():
        hint = _plain_part(hints.get(str(name)))
        if hint is None:
            continue
        value = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        try:
            TypeAdapter(hint).validate_python(value)
        except ValidationError:
            wanted = hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")
            raise InputError(f"{place}.{name!s}={value!r}: expected {wanted}; correct it on the command line") from None


def _plain_part(hint: Any) -> Any:
    """What of a type hint a configuration can hold: numbers, text, None, literals, sequences of them; else None."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint in PLAIN or origin is typing.Literal:
        return hint
    if origin in (typing.Union, types.UnionType):
        plain = [part for part in parts if _plain_part(part) is not None]
        return typing.Union[tuple(plain)] if set(plain) - {type(None)} else None  # noqa: UP007  built at run time
    is_sequence = origin in (list, tuple, abc.Sequence, abc.Iterable)
    return hint if is_sequence and all(part is Ellipsis or _plain_part(part) == part for part in parts) else None


def _refuse_other_classes(net: nn.Module) -> None:
    """InputError where a network says that it gives other than the classes of the labels."""
    found = getattr(net, "num_classes", NUM_CLASSES)
    if found != NUM_CLASSES:
        raise InputError(
            f"model.num_classes: {type(net).__name__} gives {found} classes, labels have {NUM_CLASSES}; more channels "
            "are for networks inside WithFluid or WithSurfaces"
        )


def _refuse_settings_that_fail_late(config: DictConfig, net: nn.Module, optimizer: Any) -> None:
    """InputError now for what would otherwise surface after the data has been read."""
    try:
        optimizer(net.parameters())
    except (TypeError, ValueError) as error:
        raise InputError(f"optimizer: {one_line(error)}; see what `--cfg job` prints for optimizer") from error
    if config.trainer.max_epochs is not None and config.trainer.max_epochs < 1:
        raise InputError(f"trainer.max_epochs={config.trainer.max_epochs}: expected 1 or more")
