"""A sweep whose jobs are of several processes each: only where something else than Lightning starts them."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning import Trainer
from lightning.pytorch.strategies.launchers import _SubprocessScriptLauncher

from retseg.errors import InputError


def refuse_sweep_of_processes(trainer: Trainer) -> None:
    """InputError where a job of a sweep would start its other processes by the command of the whole sweep.

    Under SLURM, or started by torchrun, all processes are there already.
    """
    is_sweep = HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN
    launcher = trainer.strategy.launcher
    if not is_sweep or trainer.world_size == 1 or not isinstance(launcher, _SubprocessScriptLauncher):
        return
    if not launcher.cluster_environment.creates_processes_externally:
        raise InputError(
            f"trainer.devices: {trainer.world_size} processes a job of a sweep, each would start the whole sweep; "
            "take trainer.devices=1, leave -m out, or let SLURM start the processes"
        )
