"""A run folder as `retseg evaluate` needs it: what was trained, which scans are to be scored, on which data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from retseg.bscan import ScanKey
from retseg.build import build_frame, build_source, load_config, load_net
from retseg.commands.config_errors import explain_config_error
from retseg.commands.config_folder import compose_config
from retseg.data.source import ScanSource
from retseg.errors import InputError
from retseg.evaluation.inference import Frame
from retseg.evaluation.json_files import read_object
from retseg.training.environment import weights_sha256

SIDES = ("train", "val", "test")
ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRun:
    """A finished run: its configuration, its metrics.json and split.json, and the network of one checkpoint."""

    folder: Path
    config: DictConfig
    metrics: Mapping[str, Any]
    split: Mapping[str, Any]
    checkpoint: str
    net: nn.Module
    weights: str

    @property
    def judged_by(self) -> str:
        """The side that the run is judged by: the test scans if it has any."""
        return "test" if self.split.get("test") else "val"

    @property
    def columns(self) -> tuple[int, int] | None:
        """The columns that the split's protocol scores."""
        columns = (self.split.get("protocol") or {}).get("columns")
        return None if columns is None else (int(columns[0]), int(columns[1]))

    @property
    def stamp(self) -> str:
        """What no reader of a score may overlook: the audit's line if there is one, else the split's."""
        audit = self.folder / "audit.json"
        return str(read_object(audit)["stamp"] if audit.is_file() else self.split["stamp"])

    @property
    def is_chosen_on_val(self) -> bool:
        """Whether the checkpoint was picked, among several, for its loss on the validation scans."""
        trainer, monitor = self.config.trainer, str(self.config.callbacks.best.monitor)
        every = trainer.get("check_val_every_n_epoch") or 1
        is_picked = monitor.startswith("val") and trainer.max_epochs > every
        return self.checkpoint == "best" and self.judged_by == "val" and is_picked


def open_run(folder: Path, checkpoint: str = "best") -> ScoredRun:
    """A run folder. InputError where it is none, where training has not finished, or without that checkpoint."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00")
    config = load_config(folder)
    for name in ("metrics.json", "split.json"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder}: no {name}, training has not finished; go on with `python -m retseg.train resume={folder}`"
            )
    metrics, split = read_object(folder / "metrics.json"), read_object(folder / "split.json")
    net = load_net(folder, checkpoint)
    return ScoredRun(folder, config, metrics, split, checkpoint, net, weights_sha256(net))


@dataclass(frozen=True, slots=True, eq=False)
class ScoredScans:
    """The scans of an open source that are scored, sorted by name, and the frame in which the network sees them."""

    source: ScanSource
    keys: tuple[ScanKey, ...]
    frame: Frame
    side: str
    stamp: str
    notices: tuple[str, ...]


def choose_scans(run: ScoredRun, side: str | None, options: Sequence[str]) -> ScoredScans:
    """Open the run's data, or the data that options name, and choose what is scored.

    Data of the run's own source (by its name) is scored on the run's split; of any other, all scans are.
    """
    config = with_data_options(run.config, options) if options else run.config
    source, notices = open_with_both_graders(config)
    if options and source.name != run.metrics["data"]["name"]:
        if side not in (None, ALL):
            raise InputError(f"--on {side}: {source.name} is not what the run was split on; leave --on out")
        stamp = _stamp_of_other_data(run, source)
        frame = build_frame(config)
        return ScoredScans(source, tuple(sorted(source.keys, key=_name)), frame, ALL, stamp, notices)
    side = side or run.judged_by
    keys = keys_of_side(run, source, side)
    return ScoredScans(source, keys, build_frame(config, run.columns), side, own_stamp(run, side), notices)


def own_stamp(run: ScoredRun, side: str) -> str:
    """The stamp of scores on a side of the run's own split."""
    return f"scored on the scans that trained; {run.stamp}" if side == "train" else run.stamp


def keys_of_side(run: ScoredRun, source: ScanSource, side: str) -> tuple[ScanKey, ...]:
    """Keys of one side of the run's split, by name. InputError where it has none or the source lacks some."""
    names = run.split.get(side) or ()
    if not names:
        raise InputError(f"--on {side}: the run's split has no such scans; it has {', '.join(_filled(run.split))}")
    known = {key.name: key for key in source.keys}
    if missing := [name for name in names if name not in known]:
        raise InputError(
            f"{source.name}: {len(missing)} of {len(names)} {side} scans are not there (first {missing[0]}); "
            "is this the data that the run was trained on?"
        )
    return tuple(known[name] for name in sorted(names))


def _filled(split: Mapping[str, Any]) -> list[str]:
    return [side for side in SIDES if split.get(side)]


def _name(key: ScanKey) -> str:
    return key.name


def _stamp_of_other_data(run: ScoredRun, source: ScanSource) -> str:
    """What is known of subjects on both sides when other data is scored: their names, at most."""
    subjects = {key.subject for key in source.keys}
    trained = {name.rpartition("_b")[0] for name in run.split["train"]}
    stamp = f"all scans of {source.name}; subjects not known to be apart from those in training"
    if shared := len(subjects & trained):
        return f"{stamp} ({shared} of {len(subjects)} have the name of one)"
    return f"{stamp} (no name is shared)"


def open_with_both_graders(config: DictConfig) -> tuple[ScanSource, tuple[str, ...]]:
    """The source of a configuration, with both graders where it offers a choice; and what to say about that."""
    graders = config.data.source.get("graders")
    if graders is None or sorted(graders) == [1, 2]:
        return build_source(config), ()
    both = OmegaConf.merge(config, {"data": {"source": {"graders": [1, 2]}}})
    assert isinstance(both, DictConfig)
    try:
        return build_source(both), ()
    except InputError as error:
        return build_source(config), (f"no ceiling: a second grader's labels cannot be read ({error})",)


def with_data_options(config: DictConfig, options: Sequence[str]) -> DictConfig:
    """A configuration with other data: a choice of conf/data ("duke"), and options of it ("root=DIR").

    An option counts for the section and for its source, whichever has it. InputError where neither does.
    """
    choices = [option for option in options if "=" not in option]
    if len(choices) > 1:
        raise InputError(f"--data {' --data '.join(choices)}: two sets of data; evaluate one at a time")
    changed = OmegaConf.create(OmegaConf.to_container(config, resolve=True))
    assert isinstance(changed, DictConfig)
    if choices:
        chosen = _data_choice(choices[0])
        changed.data.source, changed.data.crop = chosen.source, chosen.crop
        for name in ("root", "label_origin"):
            changed.data.pop(name, None)
    for option in options:
        name, equals, value = option.partition("=")
        if equals:
            _set_data_option(changed, name, OmegaConf.create(f"value: {value}").value)
    return changed


def _set_data_option(config: DictConfig, name: str, value: Any) -> None:
    places = [place for place in (f"data.source.{name}", f"data.{name}") if _has(config, place)]
    if not places:
        names = [str(key) for key in config.data.source if not str(key).startswith("_")]
        raise InputError(f"--data {name}: no such option; this source has {', '.join(names)}")
    for place in places:
        OmegaConf.update(config, place, value)


def _has(config: DictConfig, place: str) -> bool:
    parent, _, name = place.rpartition(".")
    node = OmegaConf.select(config, parent)
    return isinstance(node, DictConfig) and name in node


def _data_choice(name: str) -> DictConfig:
    """The section `data` of a choice of conf/data, resolved."""
    try:
        section = compose_config([f"data={name}"]).data
    except Exception as error:
        line = explain_config_error(error)
        if line is None:
            raise
        raise InputError(f"--data {name}: {line}; or give an option as NAME=VALUE") from error
    resolved = OmegaConf.create(OmegaConf.to_container(section, resolve=True))
    assert isinstance(resolved, DictConfig)
    return resolved


def identity(run: ScoredRun, side: str | None, options: Sequence[str]) -> dict[str, Any]:
    """What saved predictions must have been made from to be used again; no data is opened."""
    section = OmegaConf.to_container(run.config.data, resolve=True)
    return {
        "format": 1,
        "weights_sha256": run.weights,
        "split_sha256": run.split["sha256"],
        "protocol": run.split.get("protocol"),
        "side": side or ("" if options else run.judged_by),
        "data": list(options),
        "frame_sha256": sha256(json.dumps(section, sort_keys=True).encode()).hexdigest(),
    }
