"""A wrong Hydra option in one line, with the choices that exist."""

import difflib
import re

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from retseg.commands.config_folder import compose_config


def explain_config_error(error: Exception) -> str | None:
    """One line for an error of composing the configuration; None for any other error."""
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = list(error.options)
        return f"{group}={choice}: no such choice{_similar(choice, options)}; {group} offers {', '.join(options)}"
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        return _unknown_option(unknown[1])
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not an option of the form a.b=VALUE; put quotes around special characters"
    if isinstance(error, ConfigCompositionException | HydraException | OmegaConfBaseException):
        first = str(error).strip().splitlines()[0]
        return f"{first}; see --help for the choices and options"
    return None


def _unknown_option(option: str) -> str:
    """What exists where an option was looked for."""
    place, _, name = option.rpartition(".")
    config: DictConfig | None = compose_config()
    for part in place.split(".") if place else []:
        config = config.get(part) if isinstance(config, DictConfig) else None
    if not isinstance(config, DictConfig):
        return f"{option}: no such option; see --help for the options that exist"
    names = [str(key) for key in config if not str(key).startswith("_")]
    where = place or "the configuration"
    return (
        f"{option}: no such option{_similar(name, names)}; {where} has {', '.join(names)} (add one that is new with +)"
    )


def _similar(word: str, words: list[str]) -> str:
    matches = difflib.get_close_matches(word, words, n=1)
    return f", did you mean {matches[0]}" if matches else ""
