"""What is read before the first step: scans and their audit."""

from omegaconf import DictConfig
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retseg.bscan import BScan
from retseg.data.audit import Audit, AuditRecorder
from retseg.data.audit_ids import audit_of_ids
from retseg.data.audit_stream import stream_audit
from retseg.errors import InputError
from retseg.training.datamodule import OctDataModule
from retseg.training.environment import is_main_process

MOST_BEFORE = 2000
"""Scans of a set that is read and compared before the first step, unless audit.before says otherwise."""


def read_and_audit(console: Console, data: OctDataModule, config: DictConfig) -> Audit:
    """Read and check scans, by the first of several processes alone; their audit.

    All are read of a set of at most audit.before scans (2,000 unless told otherwise), or if audit.fail is set. Of a
    larger set a fixed number is, and the audit is of ids alone. InputError: a scan breaks a rule, or the split leaks
    and audit.fail is set.
    """
    split, most = data.split, config.audit.get("before", MOST_BEFORE)  # run folders of before have no such option
    if not isinstance(most, int) or most < 0:
        raise InputError(f"audit.before: {most!r}, expected a number of scans, 0 or more")
    if not is_main_process():
        return audit_of_ids(split.train, split.val, split.test)
    if data.num_scans > most and not config.audit.fail:
        num_read = data.read_some()
        console.print(
            f"reading      {num_read} of {data.num_scans:,} scans are checked now, the others when training comes to "
            f"them, their content by `retseg audit` beside it; audit.before={data.num_scans} reads all first"
        )
        return audit_of_ids(split.train, split.val, split.test)
    audit = _read_all(console, data)
    if config.audit.fail and audit.is_leaky:
        raise InputError(f"audit.fail=true: {audit.stamp}; keep subjects apart, e.g. by split=subject_holdout")
    return audit


def _read_all(console: Console, data: OctDataModule) -> Audit:
    """Read every scan before the first step, with a bar; then what the reader noticed. Their audit.

    Each is checked as training will see it, and kept (data.cache); of more than MOST_BEFORE only some are.
    """
    sides = (data.split.train, data.split.val, data.split.test)
    columns = (TextColumn("reading scans"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=data.num_scans)
        if data.num_scans > MOST_BEFORE:
            data.read_some()
            audit = stream_audit(data.source.read, *sides, advance=lambda: progress.advance(task))
        else:
            recorder = AuditRecorder()

            def observe(scan: BScan) -> None:
                recorder(scan)
                progress.advance(task)

            data.read_all(observe)
            audit = recorder.audit(*sides)
    for notice in data.source.notices:
        console.print(f"notice       {notice}")
    return audit
