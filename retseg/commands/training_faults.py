"""What ends a training though no input is wrong, in one line: no room on the disk, no memory, a worker lost."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig

from retseg.errors import InputError, is_short_of_memory, one_line
from retseg.evaluation.atomic import free_mib

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO}
LOST_WORKER = "dataloader worker"
_UNWRITTEN = ": cannot be written ("


@contextmanager
def faults_told(run_dir: Path, config: DictConfig) -> Iterator[None]:
    """InputError in the place of what the system, numpy or PyTorch say where the machine is the reason; others pass."""
    try:
        yield
    except InputError as error:
        place, unwritten, _ = str(error).partition(_UNWRITTEN)
        if not (unwritten and isinstance(error.__cause__, OSError)):
            raise
        raise InputError(_no_room(Path(place), error.__cause__, run_dir)) from error
    except MisconfigurationException as error:
        reason = one_line(error)
        raise InputError(f"trainer, callbacks: {reason:.400}; see what `--cfg job` prints for them") from error
    except (MemoryError, OSError, RuntimeError) as error:
        reason = one_line(error)
        if is_short_of_memory(error):
            raise InputError(_no_memory(reason, config, run_dir)) from error
        if LOST_WORKER in reason.lower():
            raise InputError(_lost_worker(reason, config, run_dir)) from error
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise InputError(_no_room(Path(error.filename or run_dir), error, run_dir)) from error
        raise


def _no_room(path: Path, error: OSError, run_dir: Path) -> str:
    sizes = [found.stat().st_size for found in (run_dir / "checkpoints").glob("[!.]*.ckpt")]
    needed = f", the last checkpoint took {max(sizes) / 2**20:.1f}" if sizes else ""
    room = f"{free_mib(run_dir):.1f} MiB free{needed}" if run_dir.is_dir() else "no folder"
    first = "make it writable" if error.errno == errno.EROFS else "make room"
    return f"{path}: cannot be written ({error.strerror or error}; {room}); {first}, then {_go_on(run_dir)}"


def _no_memory(reason: str, config: DictConfig, run_dir: Path) -> str:
    now = [f"data.batch_size ({config.data.batch_size})", f"data.size ({config.data.size})"]
    if "width" in config.model:
        now.append(f"model.width ({config.model.width})")
    return f"memory is short ({reason or 'MemoryError':.120}); lower {', '.join(now)}, then {_go_on(run_dir)}"


def _lost_worker(reason: str, config: DictConfig, run_dir: Path) -> str:
    return (
        f"a process that reads scans has gone ({reason:.120}), most often for want of memory or of /dev/shm; lower "
        f"data.num_workers ({config.data.num_workers}; 0 needs none), then {_go_on(run_dir)}"
    )


def _go_on(run_dir: Path) -> str:
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    if not checkpoint.is_file():
        return "start again: nothing is trained yet"
    return f"go on with resume={run_dir} ({checkpoint.name} is whole)"
