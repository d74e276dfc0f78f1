"""`python -m retseg.train`: compose a configuration with Hydra and train. Heavy imports wait for the task itself."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import hydra
from omegaconf import DictConfig

from retseg.commands.config_errors import explain_config_error
from retseg.commands.config_folder import CONF
from retseg.commands.interrupted_training import interrupts_told
from retseg.commands.sweep import end_sweep, leave_broken_sweep, sweep_arguments
from retseg.commands.sweep_job import run_job
from retseg.commands.sweep_results import SweepResult
from retseg.errors import InputError, memory_line


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def run(config: DictConfig) -> float:
    """One job: train, score, draw. Gives the macro Dice of the layers on validation, for sweepers."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    from retseg.commands.training import train

    if HydraConfig.get().mode == RunMode.MULTIRUN:
        return run_job(config)  # a sweep goes on with its other jobs
    try:
        return train(config)
    except InputError as error:
        if config.show_traceback:
            raise
        _leave(str(error))


def main() -> None:
    """Train, or resume; a wrong option or input is one line and exit code 2, with --debug a traceback.

    Ctrl-C and SIGTERM are exit codes 130 and 143, with one line on what there is to go on with.
    """
    with interrupts_told():
        _main()


def _main() -> None:
    debug = "--debug" in sys.argv
    sys.argv = ["show_traceback=true" if argument == "--debug" else argument for argument in sys.argv]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to us, not to Hydra's own printer
    try:
        sys.argv = sweep_arguments(sys.argv)
        folders = [argument.removeprefix("resume=") for argument in sys.argv if argument.startswith("resume=")]
        if folders:
            _resume(folders[-1], [argument for argument in sys.argv[1:] if not argument.startswith("resume=")])
        else:
            run()
            code = end_sweep()
            if SweepResult.errors:
                raise SweepResult.errors.pop()
            if code:
                sys.exit(code)
    except InputError as error:
        if debug:
            raise
        _leave(str(error))
    except Exception as error:
        line = explain_config_error(error) or memory_line(error)
        if line is None and not debug:
            leave_broken_sweep(error)
        if debug or line is None:
            raise
        _leave(line)


def _resume(folder: str, options: list[str]) -> None:
    """Go on in a run folder; nothing is composed, its config.yaml is the configuration."""
    if flags := [option for option in options if option.startswith("-")]:
        raise InputError(f"{' '.join(flags)}: not together with resume=; give the run folder and single options alone")
    from retseg.commands.training import resume

    resume(Path(folder), options)


def _leave(line: str) -> NoReturn:
    sys.stderr.write(f"retseg: {line}\n")
    sys.exit(2)


if __name__ == "__main__":
    main()
