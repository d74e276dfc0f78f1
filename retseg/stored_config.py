"""The configuration that a run folder holds, read as what it is: text that somebody may have sent."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from retseg.errors import InputError, one_line
from retseg.targets import check_names

MAX_BYTES, MAX_DEPTH = 256 * 1024, 32
"""A run's configuration is of 5 kB, and nested 6 deep."""


def load_config(run_dir: Path) -> DictConfig:
    """The resolved configuration of a run folder. InputError where it is none, or would do more than say values.

    Refused: files beyond 256 kB or 32 levels, references within the file (`&`, `*`: a few lines of them can fill the
    memory), interpolations (`${oc.env:HOME}` would read this machine; what retseg saves is resolved), and targets that
    `retseg.targets` does not allow.
    """
    path = run_dir / "config.yaml"
    if not path.is_file():
        raise InputError(f"{run_dir}: no config.yaml here; name a run folder, e.g. runs/phantom/2026-01-31_10-00-00")
    config = OmegaConf.create(_plain_values(path))
    try:
        check_names(config)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return config


def _plain_values(path: Path) -> dict[Any, Any]:
    """The values of a YAML file that is small, of plain types, and refers to nothing."""
    import yaml  # type: ignore[import-untyped]  # comes with omegaconf, without stubs

    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"{path}: is of {size:,} bytes, a configuration of at most {MAX_BYTES:,}; name another run"
            )
        text = path.read_text(encoding="utf-8")
        _refuse_what_grows(path, yaml.parse(text, yaml.SafeLoader))
        if "${" in text:
            raise InputError(
                f"{path}: holds an interpolation (${{...}}), as no saved configuration of retseg does; write the value"
            )
        values = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    except InputError:
        raise
    except (OSError, ValueError, RecursionError, yaml.YAMLError, OmegaConfBaseException) as error:
        line = one_line(error)
        raise InputError(f"{path}: cannot be read ({line:.160}); take it from the run's copy") from error
    if not isinstance(values, dict) or not {"data", "model"} <= values.keys():
        raise InputError(f"{path}: not the configuration of a run (no data and no model); name a run folder")
    return values


def _refuse_what_grows(path: Path, events: Iterable[Any]) -> None:
    """InputError where a YAML text refers within itself or is nested deeper than a configuration ever is."""
    depth = 0
    for event in events:
        kind = type(event).__name__
        depth += kind.endswith("StartEvent") - kind.endswith("EndEvent")
        if kind == "AliasEvent":
            raise InputError(f"{path}: refers within itself (*name), as no configuration of retseg does; refused")
        if depth > MAX_DEPTH:
            raise InputError(
                f"{path}: is nested deeper than {MAX_DEPTH} levels, as no configuration of retseg; refused"
            )
