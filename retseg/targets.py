"""Which classes a configuration may name in `_target_`: a short list, checked before anything is imported.

A configuration is data: one of a stranger (the config.yaml of a run folder) must not be able to call what it likes. A
package of your own is allowed by its name in the environment variable RETSEG_ALLOW_TARGETS (several: with commas).
"""

import inspect
import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from omegaconf import OmegaConf

from retseg.errors import InputError

VARIABLE = "RETSEG_ALLOW_TARGETS"

PACKAGES = (
    "retseg.data",
    "retseg.losses",
    "retseg.models",
    "retseg.training",
    "torch.optim",
    "lightning.pytorch.callbacks",
)
"""Classes that these packages define may be named: classes alone, no functions, and nothing that they import."""

NAMES = (
    "lightning.Trainer",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.loggers.CSVLogger",
    "lightning.pytorch.loggers.TensorBoardLogger",
    "retseg.training.wandb_run.wandb_logger",
)


def check_names(node: Any, place: str = "") -> None:
    """InputError where a configuration names, anywhere inside it, a target that is not allowed; nothing is imported."""
    for where, target in _targets(node, place):
        if not isinstance(target, str) or not (target in NAMES or _package_of(target)):
            _refuse(where, target, "is none of the classes that retseg builds")


def check_targets(node: Any, place: str) -> None:
    """`check_names`, then InputError where what a name leads to is no class that its own package defines."""
    check_names(node, place)
    for where, target in _targets(node, place):
        if target in NAMES:
            continue
        found = _located(target, where)
        own = any(_is_inside(target, name) for name in _own_packages())
        is_of_its_kind = callable(found) if own else inspect.isclass(found)
        if not is_of_its_kind or _package_of(str(getattr(found, "__module__", None))) is None:
            _refuse(where, target, "is no class of that package itself")


def _targets(node: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Every `_target_` in a node with its dotted place; also in lists, arguments, and what interpolations lead to."""
    if OmegaConf.is_config(node):
        node = OmegaConf.to_container(node, resolve=True)
    if isinstance(node, dict):
        for key, value in node.items():
            where = f"{place}.{key}" if place else str(key)
            if key == "_target_":
                yield where, value
            yield from _targets(value, where)
    elif isinstance(node, list | tuple):
        for number, value in enumerate(node):
            yield from _targets(value, f"{place}[{number}]")


def _refuse(where: str, target: Any, reason: str) -> None:
    raise InputError(
        f"{where}={target!r:.80}: {reason} ({', '.join(PACKAGES)}; lightning.Trainer); nothing was run. Name one of "
        f"these, or allow a package of your own with {VARIABLE}=PACKAGE"
    )


def _own_packages() -> tuple[str, ...]:
    return tuple(name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())


def _package_of(name: str) -> str | None:
    """The allowed package that a dotted name is in, or is."""
    return next((package for package in (*PACKAGES, *_own_packages()) if _is_inside(name, package)), None)


def _is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _located(target: str, where: str) -> Any:
    """What a dotted name leads to; no module outside the allowed packages is imported."""
    parts = target.split(".")
    if not all(part.isidentifier() for part in parts):
        _refuse(where, target, "is no dotted name")
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        if _package_of(module) is None:
            break
        try:
            found: Any = import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not _is_inside(module, error.name):
                raise  # the module is there, and something that it needs is not
            continue
        for part in parts[count:]:
            found = getattr(found, part, None)
        if found is not None:
            return found
        break
    raise InputError(f"{where}={target!r:.80}: no such class; see its spelling")
