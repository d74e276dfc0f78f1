"""What is read before the first step: scans and their audit."""

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retseg.bscan import BScan
from retseg.data.audit import Audit, AuditRecorder
from retseg.data.audit_ids import audit_of_ids
from retseg.errors import InputError
from retseg.training.datamodule import OctDataModule
from retseg.training.environment import is_main_process


def read_and_audit(console: Console, data: OctDataModule, config: DictConfig) -> Audit:
    """Read and check scans, by the first of several processes alone; their audit.

    InputError: a scan breaks a rule, or the split leaks and audit.fail is set.
    """
    split = data.split
    if not is_main_process():
        return audit_of_ids(split.train, split.val, split.test)
    audit = _read_all(console, data)
    if config.audit.fail and audit.is_leaky:
        raise InputError(f"audit.fail=true: {audit.stamp}; keep subjects apart, e.g. by split=subject_holdout")
    return audit


def _read_all(console: Console, data: OctDataModule) -> Audit:
    """Read and check every scan before the first step, with a bar; then what the reader noticed. Their audit."""
    recorder = AuditRecorder()
    columns = (TextColumn("reading scans"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=data.num_scans)

        def observe(scan: BScan) -> None:
            recorder(scan)
            progress.advance(task)

        data.read_all(observe)
    for notice in data.source.notices:
        console.print(f"notice       {notice}")
    return recorder.audit(data.split.train, data.split.val, data.split.test)
