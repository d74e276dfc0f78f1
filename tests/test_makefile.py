"""`make audit` with a pip-audit of the test's own: known vulnerabilities, none, and no answer are told apart."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
OLD = "pillow 9.0.0 CVE-1"
NONE = "echo No known vulnerabilities found >&2"
LOST = "echo a traceback >&2; echo ConnectionError: refused >&2; exit 1"


def audit(folder: Path, bad: str, pins: str, *options: str, pip: str = "exit 0") -> "subprocess.CompletedProcess[str]":
    """`make audit` where pip-audit does `bad` for the list of Pillow 9.0.0 and `pins` for constraints.txt, in sh."""
    shutil.copy(MAKEFILE, folder)
    (folder / "constraints.txt").write_text("# two\nh5py==3.16.0\npillow==12.2.0\n")
    tools = folder / "env" / "audit" / "bin"
    tools.mkdir(parents=True)
    asked = f'echo "$@" >>{folder}/asked\ncase "$*" in *bad.txt) {bad};; *constraints.txt) {pins};; *) exit 9;; esac\n'
    for name, script in {"python": pip, "pip-audit": asked}.items():
        (tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (tools / name).chmod(0o755)
    # Not as a part of `make test`, which hands on its own options and talkativeness.
    call = ["make", "audit", "PYTHON=true", "VENV=env", *options]
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "OSV", "LC_"))}
    return subprocess.run(call, cwd=folder, env=plain | {"LC_ALL": "C"}, capture_output=True, text=True, check=False)


def test_none_is_believed_of_a_service_that_knows_an_old_hole(tmp_path: Path) -> None:
    done = audit(tmp_path, f"echo {OLD}; exit 1", NONE)
    assert (done.returncode, done.stdout, done.stderr) == (0, "No known vulnerabilities found (2 versions)\n", "")
    lists = ["env/audit/bad.txt", "constraints.txt"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert [line.split()[-1] for line in asked] == lists
    assert not any("osv" in line or "--strict" not in line for line in asked)
    assert (tmp_path / lists[0]).read_text() == "pillow==9.0.0\n"


def test_what_is_found_is_printed_and_fails(tmp_path: Path) -> None:
    done = audit(tmp_path, f"echo {OLD}; exit 1", "echo pillow 12.2.0 CVE-2; echo Found 1 >&2; exit 1")
    assert (done.returncode, done.stdout) == (2, "pillow 12.2.0 CVE-2\nFound 1\n")


@pytest.mark.parametrize(
    ("bad", "pins", "about"),
    [
        (LOST, LOST, "on pillow 9.0.0, which has known vulnerabilities (ConnectionError: refused)"),
        (NONE, NONE, "on pillow 9.0.0, which has known vulnerabilities (No known vulnerabilities found)"),
        (f"echo {OLD}; exit 1", LOST, "on constraints.txt (ConnectionError: refused)"),
    ],
)
@pytest.mark.parametrize("url", ["", "http://localhost:1/v1/query"])
def test_no_answer_is_one_line_and_never_none(tmp_path: Path, bad: str, pins: str, about: str, url: str) -> None:
    done = audit(tmp_path, bad, pins, *([f"OSV={url}"] if url else []))
    line, ended = done.stderr.splitlines()
    assert line == (
        f"make audit: no answer from {url or 'PyPI'} {about}, so nothing is known; "
        "try again, or name a service that speaks OSV: make audit OSV=http://HOST/v1/query"
    )
    assert (done.returncode, done.stdout, ended.split()[-2:]) == (2, "", ["Error", "2"])
    asked = (tmp_path / "asked").read_text().splitlines()
    assert all(("--vulnerability-service osv --osv-url http" in line) == bool(url) for line in asked)


def test_a_pip_audit_that_cannot_be_installed_is_one_line(tmp_path: Path) -> None:
    done = audit(tmp_path, NONE, NONE, pip="echo a warning >&2; echo ERROR: no pip-audit >&2; exit 1")
    told = "pip-audit cannot be installed (ERROR: no pip-audit), so nothing is known; try again with a connection"
    assert (done.returncode, done.stdout, done.stderr.splitlines()[0]) == (2, "", f"make audit: {told}")
    assert not (tmp_path / "asked").exists()
