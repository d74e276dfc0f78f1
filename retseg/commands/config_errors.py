"""A wrong Hydra option in one line, with the choices that exist."""

import difflib
import errno
import re
import sys

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from retseg.commands.config_folder import compose_config

_NO_FOLDER = {
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG,
    errno.ENOSPC, errno.EDQUOT,
}  # fmt: skip


def explain_config_error(error: Exception) -> str | None:
    """One line for an error of composing the configuration or of making its run folder; None for any other error."""
    if isinstance(error, OSError) and error.errno in _NO_FOLDER and _is_of_mkdir(error):
        return f"{error.filename}: cannot be made a run folder ({error.strerror}); choose another hydra.run.dir"
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        options = list(error.options)
        extra = "; more come with pip install 'retseg[sweep,slurm,joblib]'" if group.startswith("hydra/") else ""
        offered = f"{group} offers {', '.join(options)}{extra}"
        return f"{group}={choice}: no such choice{_similar(choice, options)}; {offered}"
    if unknown := re.search(r"Could not override '([^']+)'", str(error)):
        return _unknown_option(unknown[1])
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not an option of the form a.b=VALUE; put quotes around special characters"
    if isinstance(error, ConfigCompositionException | HydraException | OmegaConfBaseException):
        first = str(error).strip().splitlines()[0]
        return f"{first}; see --help for the choices and options"
    return None


def _is_of_mkdir(error: OSError) -> bool:
    """Whether Hydra failed to make its output folder, which it does before the task itself begins."""
    trace = error.__traceback__
    names = []
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return error.filename is not None and names[-1] in ("mkdir", "makedirs") and "run_job" in names


def _unknown_option(option: str) -> str:
    """What exists where an option was looked for, with the choices (data=duke, ...) that were made."""
    place, _, name = option.rpartition(".")
    config: DictConfig | None = _composed()
    for part in place.split(".") if place else []:
        config = config.get(part) if isinstance(config, DictConfig) else None
    if not isinstance(config, DictConfig):
        return f"{option}: no such option; see --help for the options that exist"
    names = [str(key) for key in config if not str(key).startswith("_")]
    where = place or "the configuration"
    return (
        f"{option}: no such option{_similar(name, names)}; {where} has {', '.join(names)} (add one that is new with +)"
    )


def _composed() -> DictConfig:
    """The configuration with the command's choices alone; without them where one of them is wrong, too."""
    choices = [word for word in sys.argv[1:] if re.fullmatch(r"[a-z]+=\w+", word)]
    try:
        return compose_config(choices)
    except HydraException:
        return compose_config()


def _similar(word: str, words: list[str]) -> str:
    matches = difflib.get_close_matches(word, words, n=1)
    return f", did you mean {matches[0]}" if matches else ""
