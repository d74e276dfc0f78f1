"""`retseg doctor` without a path: a sound installation, and each way in which one is not."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import namedtuple
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement

from retseg.commands import doctor_machine, doctor_packages
from retseg.commands.doctor_findings import Finding, Section, State, lazily, section
from retseg.commands.doctor_imports import Imported, import_all
from retseg.commands.doctor_report import tell_findings

Usage = namedtuple("Usage", "total used free")


def told(findings: Iterable[Finding], state: State) -> list[str]:
    return [f"{one.what}: {one.told}" for one in findings if one.state is state]


def test_a_sound_installation_has_no_problem(retseg, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, out, err = retseg("doctor", "--quick", "--json")
    content = json.loads(out)
    assert (code, content["problems"], err) == (0, 0, "")
    assert "answers a made-up scan as it should: 94." in out
    assert [part["title"] for part in content["sections"]] == ["Python and packages", "Extras", "Machine", "Network"]
    assert {one["state"] for part in content["sections"] for one in part["findings"]} <= {"ok", "note"}


def test_findings_are_told_in_columns(capsys):
    findings = (Finding(State.OK, "a", "good"), Finding(State.PROBLEM, "a longer one", "[bad]; do this"))
    tell_findings([Section("Title", findings), Section("Other", (Finding(State.NOTE, "b", "so so"),))])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Title",
        "  ok       a             good",
        "  problem  a longer one  [bad]; do this",
        "",
        "Other",
        "  note     b             so so",
        "",
        "1 ok, 1 to note, 1 to mend",
    ]


def test_a_path_that_is_not_there_is_a_wrong_call(retseg, tmp_path):
    code, _, err = retseg("doctor", tmp_path / "gone")
    assert code == 2
    assert "gone: no such file or folder; name data, a run, a scan or weights" in err


def test_packages_that_are_absent_old_or_known_to_be_bad(monkeypatch):
    found = {"torch": "2.9.1", "wandb": None, "lightning": "2.6.3"}
    monkeypatch.setattr(doctor_packages, "_version", lambda name: found.get(name, version(name)))
    lines = told(doctor_packages.check_versions(), State.PROBLEM)
    assert lines[:-1] == [
        "lightning: 2.6.3, expected >=2.6.4; run: pip install -U 'lightning>=2.6.4'",
        "torch: 2.9.1, expected >=2.10; run: pip install -U 'torch>=2.10'",
        next(line for line in lines if line.startswith("wandb: not installed; run: pip install -U 'wandb>=0.")),
    ]
    assert (
        lines[-1] == "lightning: 2.6.3 was malware; remove it at once, change your keys, then: pip install -U lightning"
    )


def test_packages_that_do_not_fit_each_other(monkeypatch):
    monkeypatch.setattr(doctor_packages, "_version", lambda name: "1.0" if name == "numpy" else version(name))
    lines = told(doctor_packages.check_each_other(), State.PROBLEM)
    assert any(line.startswith("pandas: pandas ") and "needs numpy>=" in line and "found 1.0" in line for line in lines)


def test_a_checkout_that_is_newer_than_its_installation():
    known = {"torch"}
    (line,) = told(doctor_packages._newer_pyproject(known), State.NOTE) if sys.version_info >= (3, 11) else ("h5py",)
    assert "h5py" in line


def test_extras_that_are_not_there_say_what_for(monkeypatch):
    found = doctor_packages._version

    def absent(name: str) -> str | None:
        return None if name == "onnxruntime" else found(name)

    monkeypatch.setattr(doctor_packages, "_version", absent)
    lines = told(doctor_packages.check_extras(), State.NOTE)
    assert (
        "export: not installed (onnxruntime); for `retseg export` to ONNX, and faster prediction from it: "
        "pip install 'retseg[export]'"
    ) in lines


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib")
def test_every_extra_is_described():
    import tomllib

    path = Path(doctor_packages.__file__).parents[2] / "pyproject.toml"
    named = tomllib.loads(path.read_text())["project"]["optional-dependencies"].keys()
    assert named - {doctor_packages.FOR_DEVELOPERS} <= doctor_packages.EXTRAS.keys()


def test_every_package_is_imported_by_the_name_of_its_module():
    modules = doctor_packages._modules()
    assert next(iter(modules)) == "torch"
    pairs = {"pytorch_grad_cam": "grad-cam", "hydra": "hydra-core", "PIL": "pillow", "h5py": "h5py"}
    assert pairs.items() <= modules.items()


def test_packages_that_break_or_crash_take_nobody_with_them(tmp_path, monkeypatch):
    broken = {
        "sound": "print('hello')",
        "broken": "raise RuntimeError('operator torchvision::nms\\n does not exist')",
        "leaves": "import sys; sys.exit(3)",
        "crashes": "import os; os.kill(os.getpid(), 11)",
        "last": "",
    }
    for name, text in broken.items():
        (tmp_path / f"{name}.py").write_text(text)
    root = str(Path(doctor_packages.__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), root]))
    found = import_all(list(broken))
    assert [one.module for one in found] == list(broken)
    assert [one.error for one in found] == [
        None,
        "RuntimeError: operator torchvision::nms does not exist",
        "SystemExit: 3",
        "the process was ended by signal 11",
        None,
    ]
    monkeypatch.setattr(doctor_packages, "_modules", lambda: {"broken": "torchmetrics", "last": "last"})
    findings = list(doctor_packages.check_imports())
    (line,) = told(findings, State.PROBLEM)
    assert line == (
        f"torchmetrics: cannot be imported: torch {version('torch')} and torchvision {version('torchvision')} do not "
        "belong together; run: pip install -U torch torchvision"
    )
    assert findings[-1].told.startswith("1 of 2 in ")


def test_a_package_that_hangs_is_given_up(monkeypatch):
    def hang(*args: object, **kwargs: object) -> None:
        raise subprocess.TimeoutExpired(
            "python", 7.0, output=b'\n@retseg {"module": "a", "seconds": 1, "error": null}\n'
        )

    monkeypatch.setattr(subprocess, "run", hang)
    found = import_all(["a", "b"], longest_s=7.0)
    assert found == [Imported("a", 1, None), Imported("b", 0.0, "not imported within 7 s")]


def test_a_broken_torch_is_a_finding(retseg, monkeypatch, tmp_path):
    """Everything that needs it says so, and the rest goes on."""
    monkeypatch.setitem(sys.modules, "torch", None)
    part = section("Machine", [("threads", lazily("retseg.commands.doctor_machine", "check_threads"))])
    (line,) = told(part.findings, State.PROBLEM)
    assert line.startswith("threads: ModuleNotFoundError: import of torch halted")
    monkeypatch.chdir(tmp_path)
    code, out, _ = retseg("doctor", "--quick")
    assert code == 1
    assert "packages" in out
    assert "GiB free for" in out


def test_more_threads_than_cores(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1000)
    (line,) = told(doctor_machine.check_threads(), State.NOTE)
    assert "more threads than cores are slow, set OMP_NUM_THREADS=" in line


def test_a_gpu_that_pytorch_does_not_see(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(doctor_machine, "NVIDIA_DEVICE", tmp_path)
    (line,) = told(doctor_machine.check_gpus(), State.PROBLEM)
    assert "there is one that PyTorch does not see" in line
    assert "update the driver or PyTorch" in line


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    def refuse(**kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    (line,) = told(doctor_machine.check_folder(tmp_path), State.PROBLEM)
    assert f"{tmp_path} cannot be written (Read-only file system); go to another folder, or see its rights" in line


@pytest.mark.parametrize(
    ("free", "state", "line"),
    [(2**40, State.OK, "1024.0 GiB free"), (2**30, State.NOTE, "little, make room"), (0, State.PROBLEM, "too little")],
)
def test_room_on_the_disk(monkeypatch, tmp_path, free, state, line):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**41, 0, free))
    found = doctor_machine.disk(tmp_path, "disk")
    assert found.state is state
    assert line in found.told


def test_little_shared_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor_machine, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**26, 0, 0))
    (line,) = told(doctor_machine.check_shared_memory(), State.NOTE)
    assert "64 MiB" in line
    assert "keep data.num_workers=0" in line


def test_a_network_that_answers_otherwise(monkeypatch):
    assert told(doctor_machine.check_shipped_network(), State.PROBLEM) == []
    monkeypatch.setattr(doctor_machine, "SHARES", (0.5, *doctor_machine.SHARES[1:]))
    (line,) = told(doctor_machine.check_shipped_network(), State.PROBLEM)
    assert "answers a made-up scan otherwise than it should (shares of classes off by 0.0774" in line


def test_requirements_are_quoted_for_a_shell():
    assert doctor_packages._quoted(Requirement("torchmetrics>=1.8,<2")) == "'torchmetrics<2,>=1.8'"
