"""`retseg doctor PATH`: data folders, scans, run folders, sweeps and weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.commands.doctor_files import evenly
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource


def findings(retseg, *paths: Path) -> tuple[int, dict[str, list[str]]]:
    """Exit code, and lines "what: told" by state."""
    code, out, _ = retseg("doctor", *paths, "--json")
    lines: dict[str, list[str]] = {"ok": [], "note": [], "problem": []}
    for part in json.loads(out)["sections"]:
        for one in part["findings"]:
            assert "\n" not in one["told"]
            lines[one["state"]].append(f"{one['what']}: {one['told']}")
    return code, lines


def changed(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.fixture
def labelled(tmp_path) -> Path:
    folder = tmp_path / "my data"
    convert(PhantomSource(num_subjects=2, bscans_per_subject=2, height=48, width=64), folder)
    return folder


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (40, 56), np.uint8)
    for name, rows in (("a", 40), ("b", 40), ("c", 33)):
        Image.fromarray(image[:rows]).save(folder / f"{name}.png")
    return folder


def test_a_folder_with_labels_says_how_to_train_on_it(labelled, retseg):
    code, lines = findings(retseg, labelled)
    assert (code, lines["problem"], lines["note"]) == (0, [], [])
    assert lines["ok"] == [
        "files: 2 readable: HDF5 file of retseg data convert",
        "labels: 2 subjects, 4 annotated B-scans, 1 grader; phantom, labels exact",
        "columns: 256 of 256 annotated (100%), in 4 scans",
        "scale: known for 4 scans",
        f"training: python -m retseg.train data=hdf5 data.root='{labelled}'",
        f"prediction: retseg predict '{labelled}' -o OUT",
    ]


def test_labels_that_cannot_be_read_are_named(labelled, retseg):
    (labelled / "s02.h5").write_bytes((labelled / "s02.h5").read_bytes()[:3000])
    code, lines = findings(retseg, labelled)
    assert code == 1
    assert all("s02.h5" in line for line in lines["problem"])
    assert any(line.startswith("training: data=hdf5 does not open it") for line in lines["problem"])


def test_subjects_that_lack_are_named(labelled, retseg):
    (labelled / "Subject_01.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    code, lines = findings(retseg, labelled)
    assert code == 1
    assert any(line.startswith("training: data=duke does not open it") for line in lines["problem"])


def test_pictures_copies_sizes_scale_and_what_cannot_be_read(pictures, retseg):
    (pictures / "d.png").write_bytes(b"")
    (pictures / "e.mat").write_text("<html>not found")
    (pictures / "notes.txt").write_text("x")
    code, lines = findings(retseg, pictures)
    assert code == 1
    assert lines["problem"] == [
        f"d.png: {pictures / 'd.png'}: empty (0 bytes); copy or download it again",
        f"e.mat: {pictures / 'e.mat'}: an HTML page saved as .mat, no scan; download it again",
    ]
    assert lines["note"] == [
        "files: 1 left out, of no kind that holds scans: notes.txt",
        "sizes: 2 sizes (rows x columns): 2 of 40 x 56, 1 of 33 x 56; data.size makes them one",
        "copies: b has the very pixels of a; leave one out",
        "scale: unknown for 3 of 3 volumes: no microns; with predict and measure give --spacing AXIAL,LATERAL",
        "training: no labels here that training reads: it takes Subject_XX.mat, .h5 of `retseg data convert`, or "
        "resized_images.npy with resized_labeledimages.npy",
    ]


def test_many_broken_files_are_counted(pictures, retseg):
    for number in range(25):
        (pictures / f"x{number:02d}.png").write_bytes(b"")
    _, lines = findings(retseg, pictures)
    assert len(lines["problem"]) == 21
    assert lines["problem"][-1] == "more: 5 more files that cannot be read"


def test_a_single_scan_and_one_that_is_none(pictures, retseg):
    code, lines = findings(retseg, pictures / "a.png")
    assert (code, lines["problem"]) == (0, [])
    assert "scans: 1 B-scan in 1 volume (PNG picture)" in lines["ok"]
    whole = (pictures / "a.png").read_bytes()
    (pictures / "a.png").write_bytes(whole[: len(whole) // 2])
    code, lines = findings(retseg, pictures / "a.png")
    assert code == 1
    assert "a.png" in lines["problem"][0]


def test_an_empty_folder_is_a_problem(tmp_path, retseg):
    code, lines = findings(retseg, tmp_path)
    assert code == 1
    assert "no scan among its 0 files; looked for" in lines["problem"][0]


def test_a_finished_run(own_run, retseg):
    code, lines = findings(retseg, own_run)
    assert (code, lines["problem"]) == (0, [])
    assert "state: trained to its end and scored" in lines["ok"]
    assert "best.ckpt: whole, epoch 2, of the run's network" in lines["ok"]
    assert "split: subjects apart (2 held out)" in lines["ok"]
    assert any(line.startswith("metrics.json: scores of best.ckpt, on validation: mean Dice") for line in lines["ok"])


def test_a_run_that_was_cut_off_says_how_it_goes_on(own_run, retseg):
    (own_run / "metrics.json").unlink()
    (own_run / "checkpoints" / ".last.ckpt.1.part").write_bytes(b"x")
    code, lines = findings(retseg, own_run)
    assert code == 1
    assert lines["problem"] == [
        f"state: not finished: 2 epochs done; go on with: python -m retseg.train resume={own_run}"
    ]
    assert any("1 half-written files of a killed process" in line for line in lines["note"])
    shutil.rmtree(own_run / "checkpoints")
    _, lines = findings(retseg, own_run)
    assert lines["problem"][0].endswith("there is no checkpoint to go on from: start it anew in another folder")


def test_a_run_that_is_training_now_is_no_problem(own_run, retseg):
    """The lock is another process's: one's own locks are never in one's way."""
    (own_run / "metrics.json").unlink()
    code = (
        "import sys, time; from pathlib import Path; from retseg.commands.run_lock import run_locked\n"
        "with run_locked(Path(sys.argv[1])):\n print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(own_run)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        code, lines = findings(retseg, own_run)
        holder.kill()
    assert (code, lines["problem"]) == (0, [])
    (line,) = (line for line in lines["ok"] if line.startswith("state: "))
    assert line.startswith(f"state: process {holder.pid} on ")
    assert line.endswith(" trains here now: 2 epochs done")
    code, lines = findings(retseg, own_run)  # the lock's file is still there
    assert code == 1
    assert lines["problem"][0].startswith("state: not finished: 2 epochs done")


def test_a_failed_run_says_why(own_run, retseg):
    from retseg.commands.failed_run import leave_failed

    (own_run / "metrics.json").unlink()
    leave_failed(own_run, RuntimeError("no more\n memory"))
    code, lines = findings(retseg, own_run)
    assert code == 1
    assert lines["problem"] == [
        "state: failed: RuntimeError: no more memory; mend that, then go on with: "
        f"python -m retseg.train resume={own_run}"
    ]


def test_damaged_and_foreign_weights(own_run, retseg):
    path = own_run / "checkpoints" / "best.ckpt"
    whole = path.read_bytes()
    path.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    code, lines = findings(retseg, own_run)
    assert code == 1
    assert len([line for line in lines["problem"] if "best.ckpt" in line]) == 2  # itself, and what is scored
    path.write_bytes(whole)
    metrics = json.loads((own_run / "metrics.json").read_text())
    changed(own_run / "metrics.json", checkpoint={**metrics["checkpoint"], "weights_sha256": "0"})
    _, lines = findings(retseg, own_run)
    assert any(line.startswith("metrics.json: scores of other weights than") for line in lines["problem"])
    path.unlink()
    _, lines = findings(retseg, own_run)
    assert any("best.ckpt: gone, though the run is done" in line for line in lines["problem"])


def test_a_leaky_split_another_machine_and_stale_intervals(own_run, retseg):
    changed(own_run / "audit.json", is_leaky=True, stamp="leaky split: all of it")
    environment = json.loads((own_run / "environment.json").read_text())
    packages, cpu = environment["packages"], environment["cpu"]
    changed(own_run / "environment.json", packages=packages | {"torch": "1.0"}, cpu=cpu | {"model": "abacus"})
    (own_run / "reference.json").write_text("{}")
    code, lines = findings(retseg, own_run)
    assert code == 0
    notes = "\n".join(lines["note"])
    assert "split: leaky split: all of it: scores say little about new patients" in notes
    assert f"environment: torch 1.0 then, {packages['torch']} now" in notes
    assert "environment: also other now: " in notes
    assert "cpu" in notes.partition("also other now: ")[2]
    assert "reference.json: of other weights; make it again: retseg calibrate" in notes


def test_a_broken_file_of_a_run_is_a_finding_and_the_rest_goes_on(own_run, retseg):
    for name in ("config.yaml", "audit.json", "metrics.csv"):
        (own_run / name).write_bytes(b"\xff{")
    code, lines = findings(retseg, own_run)
    assert code == 1
    assert {line.partition(":")[0] for line in lines["problem"]} >= {"configuration", "split", "metrics"}
    assert "state: trained to its end and scored" in lines["ok"]


def test_a_sweep_names_the_jobs_that_are_not_done(own_run, tmp_path, retseg):
    sweep = tmp_path / "sweep"
    for job in ("job0", "job1"):
        shutil.copytree(own_run, sweep / job)
    (sweep / "job1" / "metrics.json").unlink()
    code, lines = findings(retseg, sweep)
    assert code == 1
    assert lines["problem"][0].startswith("job1: not finished: 2 epochs done")
    assert lines["ok"] == ["jobs: 1 of 2 are done; give a job's folder to see more of it"]


def test_weights_alone(own_run, tmp_path, retseg):
    from retseg.inference.shipped import shipped_weights

    alone = tmp_path / "best.ckpt"
    shutil.copy(own_run / "checkpoints" / "best.ckpt", alone)
    program = tmp_path / "model.pt"
    program.write_bytes(b"x")
    code, lines = findings(retseg, own_run / "checkpoints" / "last.ckpt", alone, shipped_weights(), program)
    assert code == 1
    assert "last.ckpt: whole, epoch 2, of the run's network" in lines["ok"]
    assert any(line.startswith("best.ckpt: whole, epoch 2; not in a run folder") for line in lines["note"])
    assert any(line.startswith("weights: zero_shot, whole, read by PyTorch") for line in lines["ok"])
    assert len(lines["problem"]) == 1
    assert "may hold pickled code" in lines["problem"][0]


def test_few_of_many_are_evenly_spread():
    assert evenly(list(range(10)), most=4) == [0, 2, 5, 7]
    assert evenly(list(range(3)), most=4) == [0, 1, 2]
