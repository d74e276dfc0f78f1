"""What a set's size costs: time to the first batch, scans a second, memory; training, its data alone, prediction.

Run `python -m benchmarks.size [--scans 500 5000 50000] [--predict 500 5000] [--epoch] [--only train]`; with `--keys
1000000` for lists of keys.

Sets are `benchmarks.large_set`, 64 x 96, 100 B-scans a subject, one subject in five validates. Nothing is kept in
memory (data.cache=false; auto adds up to 2 GiB), no loader workers, one thread. Each row is a process of its own.
Seconds are of processor time, so that another process on the machine does not count; imports are left out of the time
to the first batch. Training stops after STEPS steps of 32, with --epoch at the end of an epoch; what reads the data
alone, the audit and prediction go to the end. Memory is the resident set's peak.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.large_set import PER_SUBJECT, write_large_set

STEPS = 60
BATCH = 32
SPLIT = ("split=subject_kfold", "split.num_folds=5")


def train(data: Path, run: Path, num_steps: int = STEPS) -> dict[str, float]:
    """A narrow network for some steps through `python -m retseg.train`'s own main, in this process."""
    from retseg.commands import training as _imports  # noqa: F401  not counted
    from retseg.train import main
    from retseg.training.module import SegmentationModule

    begun, marks, peaks = _spent(), list[float](), list[float]()
    seed_step = SegmentationModule.on_train_batch_start

    def marked(self: SegmentationModule, batch: Any, batch_idx: int) -> None:
        marks.append(_spent())
        peaks.append(_peak())
        if len(marks) > num_steps:
            raise SystemExit
        seed_step(self, batch, batch_idx)

    SegmentationModule.on_train_batch_start = marked  # type: ignore[method-assign]
    sys.argv = [
        "retseg.train", "data=hdf5", f"data.root={data}", "data.cache=false", "data.size=[64,96]", *SPLIT,
        f"data.batch_size={BATCH}", "model.width=2", "logger=csv", "callbacks.gradcam=null",
        "trainer.max_epochs=9", f"hydra.run.dir={run}",
    ]  # fmt: skip
    with suppress(SystemExit):
        main()
    rate = BATCH * num_steps / (marks[-1] - marks[0])
    return {"first batch, s": marks[0] - begun, "scans/s": rate, "first batch MiB": peaks[0], "peak MiB": peaks[-1]}


def train_epoch(data: Path, run: Path) -> dict[str, float]:
    """The same for the steps of a whole epoch: four subjects of five."""
    num_scans = PER_SUBJECT * len(list(data.glob("*.h5")))
    return train(data, run, num_scans * 4 // 5 // BATCH - 1)


def audit(data: Path, run: Path) -> dict[str, float]:
    """What runs beside the training of a large set: the split's audit, scan by scan."""
    from retseg.data.audit_stream import stream_audit
    from retseg.data.sources.hdf5 import Hdf5Source
    from retseg.data.splits import SubjectKFold

    source = Hdf5Source(data)
    split = SubjectKFold(5)(source.keys)
    begun = _spent()
    found = stream_audit(source.read, split.train, split.val)
    assert not found.is_leaky, found.stamp
    return {"scans/s": len(source.keys) / (_spent() - begun), "peak MiB": _peak()}


def read(data: Path, run: Path) -> dict[str, float]:
    """All batches of an epoch, without a network."""
    from retseg.data.sources.hdf5 import Hdf5Source
    from retseg.data.splits import SubjectKFold
    from retseg.training.datamodule import OctDataModule

    begun = _spent()
    module = OctDataModule(Hdf5Source(data), SubjectKFold(5), BATCH, (64, 96), cache=False)
    first, num_scans = 0.0, 0
    for batch in module.train_dataloader():
        first = first or _spent()
        if num_scans < BATCH * 10:
            early = _peak()
        num_scans += len(batch["name"])
    found = {"first batch, s": first - begun, "scans/s": num_scans / (_spent() - first)}
    return found | {"peak MiB": _peak(), "first batch MiB": early}


def predict(data: Path, run: Path) -> dict[str, float]:
    """`retseg predict` of a folder of HDF5 files, with thickness and tables."""
    from benchmarks.evaluation import make_run
    from retseg.commands.prediction import Call, predict_all

    made = make_run(run.parent / f"{run.name}_network", 4, 20)
    num_scans = PER_SUBJECT * len(list(data.glob("*.h5")))
    begun = _spent()
    save = ("surfaces", "thickness", "tables")
    predict_all(Call((data,), run.parent / f"{data.name}_out", (made,), save=save, is_forced=True, quiet=True))
    return {"scans/s": num_scans / (_spent() - begun), "peak MiB": _peak()}


WORK = {"read": read, "train": train, "train_epoch": train_epoch, "audit": audit, "predict": predict}


def keys(num_keys: int) -> dict[str, float]:
    """Seconds that lists of keys take: made, sorted, split, an epoch's order, audited by ids, written as split.json."""
    from retseg.bscan import ScanKey
    from retseg.data.audit_ids import audit_of_ids
    from retseg.data.splits import SubjectKFold
    from retseg.training.shares import SharedBatches

    seconds, before = {}, _peak()

    def timed(name: str, work: Any) -> Any:
        begun = _spent()
        found = work()
        seconds[name] = _spent() - begun
        return found

    made = timed("keys made", lambda: [ScanKey(1, f"p{n // 100:05d}", n % 100) for n in range(num_keys)])
    ordered = timed("sorted, in order already", lambda: sorted(made))
    split = timed("split by subject", lambda: SubjectKFold(5)(ordered))
    timed("order of an epoch", lambda: len(list(SharedBatches(split.train, BATCH, 1, 0, 0))))
    timed("audit by ids", lambda: audit_of_ids(split.train, split.val).stamp)
    with tempfile.TemporaryDirectory() as folder:
        timed("split.json", lambda: split.save(Path(folder) / "split.json"))
        size = (Path(folder) / "split.json").stat().st_size
    return seconds | {"MB of split.json": size / 1e6, "MiB in all": _peak() - before}


def _spent() -> float:
    return time.process_time()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _in_process(what: str, data: Path, run: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.size", "--child", what, str(data), str(run)]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scans", type=int, nargs="+", default=[500, 5000, 50000])
    parser.add_argument("--predict", type=int, nargs="*", default=[500, 5000])
    parser.add_argument("--epoch", action="store_true")
    parser.add_argument("--only", choices=tuple(WORK))
    parser.add_argument("--keys", type=int)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, data, run = options.child
        found = WORK[what](Path(data), Path(run))
        print("\n" + json.dumps(found))
        return
    if options.keys:
        for name, value in keys(options.keys).items():
            print(f"{name:<28}{value:>9.2f}")
        return
    console = Console(soft_wrap=True)
    columns = ("first batch, s", "scans/s", "first batch MiB", "peak MiB")
    table = Table("what", "scans", "GB", *columns)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for num_scans in options.scans:
            data = folder / f"set_{num_scans}"
            gigabytes = write_large_set(data, num_scans) / 1e9
            run = folder / f"run_{num_scans}"
            training = "train_epoch" if options.epoch else "train"
            every = ("read", training, "audit", *(["predict"] if num_scans in options.predict else []))
            for what in [options.only] if options.only else every:
                found = _in_process(what, data, run)
                console.print(f"{what} {num_scans}: {found}")
                cells = (f"{found[name]:.4g}" if name in found else "" for name in columns)
                table.add_row(what, f"{num_scans:,}", f"{gigabytes:.2f}", *cells)
    console.print(table)


if __name__ == "__main__":
    main()
