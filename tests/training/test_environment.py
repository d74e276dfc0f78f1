"""environment.json: what a run ran on, one entry a start, and what differs between two."""

import json
import subprocess
from importlib.metadata import PackageNotFoundError, version

import pytest
import torch
from packaging.requirements import Requirement

from retseg.errors import InputError
from retseg.training import installed
from retseg.training.environment import describe_environment, differences, record_start


def test_all_dependencies_that_are_installed_are_named_with_their_versions():
    content = describe_environment(seed=3)
    named = content["packages"] | content["packages_below"]
    wanted = {one.name for one in installed.requirements()}
    assert {"torch", "numpy", "lightning"} <= wanted <= named.keys()
    assert all(named[name] == version(name) for name in wanted)
    assert content["packages"]["torch"] == version("torch")
    assert "contourpy" in content["packages_below"]  # matplotlib's
    assert not {"pytest", "mypy"} & named.keys()
    assert content["seed"] == 3


def test_machine_threads_modes_and_code_are_named():
    content = describe_environment()
    assert content["threads"]["torch"] == torch.get_num_threads()
    assert content["cpu"]["model"]
    assert content["cpu"]["cores"] >= content["cpu"]["usable_cores"] >= 1
    assert any(one["kind"] == "blas" for one in content["blas"].values())
    assert content["gpu"]["devices"] == [] or content["gpu"]["driver"]
    with torch.random.fork_rng():
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            modes = describe_environment()["determinism"]
        finally:
            torch.use_deterministic_algorithms(False)
    assert modes["deterministic_algorithms"]
    assert modes["warn_only"]
    assert len(content["code"]["sha256"]) == 64
    json.dumps(content)


def test_thread_variables_are_kept(monkeypatch):
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.delenv("KMP_AFFINITY", raising=False)
    variables = describe_environment()["threads"]["variables"]
    assert variables["MKL_CBWR"] == "COMPATIBLE"
    assert "KMP_AFFINITY" not in variables


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with one file of code, committed."""
    code = tmp_path / "retseg" / "code.py"
    (tmp_path / "conf").mkdir()
    code.parent.mkdir()
    code.write_text("x = 1\n")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    monkeypatch.setattr(installed, "ROOT", code.parent)
    return code


def test_a_checkout_is_named_by_commit_and_whether_files_differ(checkout):
    clean = installed.code_facts()
    assert len(clean["commit"]) == 40
    assert clean["is_dirty"] is False
    checkout.write_text("x = 2\n")
    changed = installed.code_facts()
    assert changed["is_dirty"] is True
    assert changed["commit"] == clean["commit"]
    assert changed["sha256"] != clean["sha256"]


def test_outside_a_checkout_the_code_has_its_hash_alone(tmp_path, monkeypatch):
    (tmp_path / "retseg" / "conf").mkdir(parents=True)
    (tmp_path / "retseg" / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(installed, "ROOT", tmp_path / "retseg")
    facts = installed.code_facts()
    assert (facts["commit"], facts["is_dirty"]) == (None, None)
    assert len(facts["sha256"]) == 64


def test_where_retseg_is_not_installed_all_packages_are_named(monkeypatch):
    def absent(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installed, "requires", absent)
    packages, below = installed.package_versions()
    assert {"pytest", "torch"} <= packages.keys()
    assert below == {}


def test_extras_add_what_the_core_does_not_need():
    core = {str(one) for one in installed.requirements()}
    assert "export" in installed.extras()
    added = installed.requirements("export")
    assert {one.name for one in added} == {"onnx", "onnxscript", "onnxruntime"}
    assert all(isinstance(one, Requirement) and str(one) not in core for one in added)


def test_every_start_has_its_entry_and_facts_stay_those_of_the_first(tmp_path, monkeypatch):
    path = tmp_path / "environment.json"
    monkeypatch.setattr("sys.argv", ["train", "seed=1"])
    record_start(path, seed=1)
    first = json.loads(path.read_text())
    monkeypatch.setattr("sys.argv", ["train", "resume=RUN"])
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    record_start(path, seed=1)
    content = json.loads(path.read_text())
    assert [start["command"] for start in content["starts"]] == [["train", "seed=1"], ["train", "resume=RUN"]]
    assert content["starts"][0]["differs"] == {}
    assert content["starts"][1]["differs"] == {"threads.variables.MKL_CBWR": [None, "COMPATIBLE"]}
    assert {name: value for name, value in content.items() if name != "starts"} == {
        name: value for name, value in first.items() if name != "starts"
    }


def test_a_file_of_before_takes_another_start(tmp_path):
    path = tmp_path / "environment.json"
    path.write_text(
        json.dumps({"retseg": "0.0.1", "command": ["train"], "python": "3.9.1", "packages": {"torch": "1"}})
    )
    record_start(path, seed=0)
    starts = json.loads(path.read_text())["starts"]
    assert starts[0] == {"started": None, "command": ["train"], "differs": {}}
    assert starts[1]["differs"]["python"][0] == "3.9.1"
    assert starts[1]["differs"]["packages.torch"] == ["1", version("torch")]
    assert not any(name.startswith("cpu.") for name in starts[1]["differs"])


def test_a_damaged_file_is_refused_and_kept(tmp_path):
    path = tmp_path / "environment.json"
    path.write_text("{")
    with pytest.raises(InputError, match=r"environment\.json: cannot be read"):
        record_start(path, seed=0)
    assert path.read_text() == "{"


def test_differences_name_single_facts():
    first = {"command": ["a"], "packages": {"x": "1", "y": "2"}, "packages_below": {}, "old": 1, "cpu": {"model": "A"}}
    second = {"command": ["b"], "packages": {"x": "2", "z": "3"}, "packages_below": {}, "cpu": {"model": "A"}}
    assert differences(first, second) == {
        "packages.x": ["1", "2"],
        "packages.y": ["2", None],
        "packages.z": [None, "3"],
    }
    del first["packages_below"]  # of before, when few packages were named
    assert differences(first, second) == {"packages.x": ["1", "2"]}
