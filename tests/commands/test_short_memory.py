"""Memory that is short: one line and exit code 2, every file whole, and `predict` goes on where it stopped."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.kills_content import content, differences
from benchmarks.kills_whole import broken, leftovers
from retseg.commands import prediction
from retseg.errors import memory_line
from retseg.evaluation.inference import Predictor
from retseg.inference.predictor import ScanPredictor
from tests.faults.cut_off import SCALE, write_scans

Retseg = Callable[..., tuple[int, str, str]]
OF_NUMPY = MemoryError("Unable to allocate 31.2 MiB for an array")
OF_TORCH = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")


@pytest.fixture
def call(tmp_path: Path) -> tuple[object, ...]:
    scans = write_scans(tmp_path / "scans")
    return ("predict", scans, "-o", tmp_path / "out", "--save", "mask", "--jobs", 1, "-q", *SCALE)


def failing_after(number: int, error: Exception, function: Callable[..., object]) -> Callable[..., object]:
    """The function, which raises from its call of that number on."""
    calls = []

    def work(*args: object, **named: object) -> object:
        calls.append(1)
        if len(calls) > number:
            raise error
        return function(*args, **named)

    return work


def test_predict_names_the_scan_keeps_what_is_done_and_goes_on(
    retseg: Retseg, call: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(ScanPredictor, "answer", failing_after(2, OF_NUMPY, ScanPredictor.answer))
        code, _, said = retseg(*call)
    assert (code, said.count("\n")) == (2, 1)
    assert f"volume.tif: memory is short at volume_b000 ({OF_NUMPY}); close other programs, take fewer scans" in said
    assert said.endswith("(predict: --jobs 1), or leave it out, and give the same command again\n")
    assert (broken(out), leftovers(out)) == ([], [])
    assert json.loads((out / "run.json").read_text())["status"] == "stopped"
    assert retseg(*call)[0] == 0
    assert retseg(*[tmp_path / "undisturbed" if word == out else word for word in call])[0] == 0
    assert differences(content(tmp_path / "undisturbed"), content(out)) == []


def test_where_files_are_written(
    retseg: Retseg, call: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "write_volume", failing_after(1, OF_NUMPY, prediction.write_volume))
    code, _, said = retseg(*call)
    assert (code, said) == (
        2,
        f"retseg: memory is short ({OF_NUMPY}); close other programs, or take a machine with more: no file is half "
        "written\n",
    )
    assert (broken(tmp_path / "out"), leftovers(tmp_path / "out")) == ([], [])
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "stopped"


def test_evaluate_leaves_no_half_evaluation(retseg: Retseg, own_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Predictor, "case", failing_after(1, OF_TORCH, Predictor.case))
    code, _, said = retseg("evaluate", own_run, "-q")
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith("retseg: memory is short (DefaultCPUAllocator: can't allocate memory")
    assert leftovers(own_run) == []
    assert not (own_run / "evaluation" / "metrics.json").exists()


def test_other_errors_pass(retseg: Retseg, call: tuple[object, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ImportError("no module")):
        assert memory_line(error) is None
    monkeypatch.setattr(ScanPredictor, "answer", failing_after(0, RuntimeError("a slip"), ScanPredictor.answer))
    with pytest.raises(RuntimeError, match="a slip"):
        retseg(*call)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    ],
)
def test_what_says_that_memory_is_short(error: Exception) -> None:
    assert memory_line(error) is not None
