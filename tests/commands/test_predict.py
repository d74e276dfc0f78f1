import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from retseg.bscan import Array
from retseg.data.sources.phantom import PhantomSource
from retseg.evaluation.label_files import read_labels

Retseg = Callable[..., tuple[int, str, str]]
ROWS, COLUMNS = 216, 500


@pytest.fixture(scope="session")
def images() -> list[Array]:
    """Three phantom B-scans of one eye."""
    phantom = PhantomSource(num_subjects=2, bscans_per_subject=3)
    return [np.rint(phantom.read(key).image).clip(0, 255).astype(np.uint8) for key in phantom.keys[:3]]


@pytest.fixture
def scans(images: list[Array], tmp_path: Path) -> Path:
    """A folder of pictures: one at its top, two in a folder."""
    folder = tmp_path / "my scans"
    (folder / "eye=1").mkdir(parents=True)
    for name, image in zip(("a.png", "eye=1/b2.png", "eye=1/b10.tif"), images, strict=True):
        Image.fromarray(image).save(folder / name)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of an output folder but those that tell times."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    timed = ("run.json", "scans.csv")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files if path.name not in timed}


def test_pictures_give_masks_surfaces_tables_and_an_account(
    retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path
):
    out = tmp_path / "out"
    code, said, error = retseg("predict", scans, "--run", trained_run, "-o", out, "--predict-anyway")
    assert (code, error) == (0, "")
    for place in ("a", "eye=1/b2", "eye=1/b10"):
        mask = read_labels(out / f"{place}_mask.png").mask
        assert mask is not None
        assert mask.shape == (ROWS, COLUMNS)
        surfaces = read_labels(out / f"{place}_surfaces.csv").surface_rows
        assert surfaces is not None
        assert surfaces.shape == (8, COLUMNS)
        assert (out / f"{place}_overlay.jpg").is_file()
    rows = table(out / "scans.csv")
    assert [row["volume"] for row in rows] == ["a", "eye=1/b2", "eye=1/b10"]
    assert {row["scale_source"] for row in rows} == {"unknown, so pixels"}
    assert not [name for name in rows[0] if "(um)" in name]
    run = json.loads((out / "run.json").read_text())
    assert run["status"] == "finished"
    assert run["made_by"]["networks"][0]["sha256"]
    assert run["verdicts"] == {
        level: [row["verdict"] for row in rows].count(level) for level in ("pass", "check", "fail")
    }
    assert "3 scans" in said
    assert "pixel size" in said
    assert table(out / "failures.csv") == []
    assert len(table(out / "review.csv")) == 3


def test_the_users_scale_gives_microns(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    out = tmp_path / "out"
    args = ("--spacing", "3.87,11.33", "--save", "mask", "--predict-anyway")
    assert retseg("predict", scans / "a.png", "--run", trained_run, "-o", out, *args)[0] == 0
    row = table(out / "scans.csv")[0]
    assert row["scale_source"] == "user"
    assert "total retina (um)" in row
    assert sorted(path.name for path in out.iterdir() if path.is_file()) == [
        "a_mask.png", "failures.csv", "review.csv", "run.json", "scans.csv",
    ]  # fmt: skip


def test_a_stack_of_known_scale_gives_maps(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    out = tmp_path / "out"
    args = ("--stack", "--spacing", "3.87,11.33", "--bscan-distance", "120", "--eye", "OD", "--predict-anyway")
    code, _, error = retseg("predict", scans / "eye=1", "--run", trained_run, "-o", out, *args)
    assert (code, error) == (0, "")
    names = {path.name for path in out.rglob("*")}
    assert any(name.endswith("_thickness_map.npz") for name in names), names
    assert any(name.endswith(".nii.gz") for name in names)
    assert any(name.endswith(".eye") for name in names)
    assert any(name.endswith(".dcm") for name in names)
    assert [row["bscan"] for row in table(out / "scans.csv")] == ["0", "1"]


def test_a_damaged_scan_is_a_failure_and_the_rest_goes_on(
    retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path
):
    whole = (scans / "a.png").read_bytes()
    (scans / "broken.png").write_bytes(whole[: len(whole) // 2])
    code, said, _ = retseg("predict", scans, "--run", trained_run, "-o", tmp_path / "out", "--save", "mask")
    assert code == 1
    failures = table(tmp_path / "out" / "failures.csv")
    assert len(failures) == 1
    assert "broken.png" in failures[0]["scan"] + failures[0]["reason"]
    assert "failed: " in said
    assert len(table(tmp_path / "out" / "scans.csv")) == 3
    assert not (tmp_path / "out" / "broken_mask.png").exists()


def test_a_volume_that_cannot_be_measured_is_a_failure_and_the_rest_goes_on(
    retseg: Retseg, trained_run: Path, images: list[Array], tmp_path: Path
):
    for name in ("narrow", "wide"):
        (tmp_path / "scans" / name).mkdir(parents=True)
        for number, image in enumerate(images):
            shown = image if name == "wide" else image[:, :300]
            Image.fromarray(shown).save(tmp_path / "scans" / name / f"{number}.png")
    out = tmp_path / "out"
    options = ("--stack", "--spacing", "3.87,11.33", "--bscan-distance", "120", "--fovea", "400,1")
    args = (*options, "--save", "tables", "--predict-anyway")
    assert retseg("predict", tmp_path / "scans", "--run", trained_run, "-o", out, *args)[0] == 1
    (failure,) = table(out / "failures.csv")
    assert failure["scan"] == "narrow"
    assert "--fovea 400,1: outside the field; columns run from 0 to 299" in failure["reason"]
    assert len(table(out / "scans.csv")) == 6
    assert (out / "wide" / "wide_etdrs.csv").is_file()


def test_what_fails_before_the_network_has_no_surfaces(retseg: Retseg, trained_run: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (216, 500, 3), dtype=np.uint8)).save(tmp_path / "colour.png")
    out = tmp_path / "out"
    assert retseg("predict", tmp_path / "colour.png", "--run", trained_run, "-o", out)[0] == 0
    row = table(out / "scans.csv")[0]
    assert (row["verdict"], row["columns_with_retina"]) == ("fail", "0")
    assert row["reasons"]


def test_the_same_command_again_writes_nothing_over(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    call = ("predict", scans, "--run", trained_run, "-o", tmp_path / "out", "--save", "mask", "-q")
    assert retseg(*call)[0] == 0
    before = (tmp_path / "out" / "a_mask.png").stat().st_mtime_ns
    assert retseg(*call)[0] == 0
    assert (tmp_path / "out" / "a_mask.png").stat().st_mtime_ns == before
    assert retseg(*call, "--overwrite")[0] == 0
    assert (tmp_path / "out" / "a_mask.png").stat().st_mtime_ns > before


def test_starting_again_does_what_is_missing_alone(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    out = tmp_path / "out"
    call = ("predict", scans, "--run", trained_run, "-o", out, "--save", "mask")
    assert retseg(*call)[0] == 0
    (out / "a_mask.png").unlink()
    old = (out / "eye=1" / "b2_mask.png").stat().st_mtime_ns
    order = [row["scan"] for row in table(out / "scans.csv")]
    code, said, _ = retseg(*call)
    assert code == 0
    assert "2 of 3 scans are done already, kept" in said
    assert [row["scan"] for row in table(out / "scans.csv")] == order
    assert "3 scans (2 of an earlier call)" in said
    assert (out / "a_mask.png").is_file()
    assert (out / "eye=1" / "b2_mask.png").stat().st_mtime_ns == old


def test_going_on_with_other_settings_is_refused(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    call = ("predict", scans, "--run", trained_run, "-o", tmp_path / "out")
    assert retseg(*call, "--save", "mask", "-q")[0] == 0
    others = {
        ("--save", "surfaces"): "out: was made with other outputs; choose another folder with -o",
        ("--save", "mask", "--spacing", "3.87,11.33"): "out: was made with other spacing; choose another folder",
        ("--save", "mask", "--eye", "OD", "--views", 2): "out: was made with other views, eye; choose another folder",
    }
    for words, line in others.items():
        code, _, error = retseg(*call, *words)
        assert (code, line in error, error.count("\n")) == (2, True, 1), error


def test_its_own_output_is_no_scan(retseg: Retseg, trained_run: Path, scans: Path):
    call = ("predict", scans, "--run", trained_run, "-o", scans / "out", "--save", "mask,overlay", "-q")
    assert retseg(*call)[0] == 0
    assert retseg(*call, "--overwrite")[0] == 0
    assert len(table(scans / "out" / "scans.csv")) == 3


def test_jobs_do_not_change_what_is_written(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    for jobs in (1, 3):
        call = ("predict", scans, "--run", trained_run, "-o", tmp_path / str(jobs), "--jobs", jobs, "-q")
        assert retseg(*call, "--save", "mask,surfaces,thickness")[0] == 0
    one, three = contents(tmp_path / "1"), contents(tmp_path / "3")
    assert {name: data for name, data in one.items() if "records" not in name} == {
        name: data for name, data in three.items() if "records" not in name
    }


def test_a_dry_run_writes_nothing(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    code, said, _ = retseg("predict", scans, "--run", trained_run, "-o", tmp_path / "out", "--dry-run")
    assert code == 0
    assert "nothing is written" in said
    assert "unknown: pixels" in said
    assert not (tmp_path / "out").exists()


def test_views_and_several_runs_are_one_answer(retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path):
    out = tmp_path / "out"
    call = ("predict", scans / "a.png", "--run", trained_run, "--run", trained_run, "--views", 2, "-o", out, "-q")
    assert retseg(*call, "--save", "mask")[0] == 0
    assert len(json.loads((out / "run.json").read_text())["made_by"]["views"]) == 4


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("--run", "nowhere"), "nowhere"),
        (("--run", "RUN", "--save", "masks"), "--save masks: no such output; take some of mask, surfaces"),
        (("--run", "RUN", "--spacing", "3.87;11"), "--spacing 3.87;11: expected AXIAL,LATERAL in um"),
        (("--run", "RUN", "--fovea", "12"), "--fovea 12: expected COLUMN,BSCAN"),
        (("--run", "RUN", "--bscan-distance", "-1"), "--bscan-distance -1: expected a positive distance in um"),
    ],
)
def test_what_cannot_start_is_one_line(
    retseg: Retseg, trained_run: Path, scans: Path, tmp_path: Path, args: tuple[str, ...], line: str
):
    words = [str(trained_run) if word == "RUN" else word for word in args]
    code, _, error = retseg("predict", scans, *words, "-o", tmp_path / "out")
    assert code == 2
    assert line in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_output_beside_its_scans_is_refused(retseg: Retseg, trained_run: Path, scans: Path):
    code, _, error = retseg("predict", scans, "--run", trained_run, "-o", scans)
    assert code == 2
    assert "is also where scans are read from; choose another folder" in error


def test_no_scans_is_one_line(retseg: Retseg, trained_run: Path, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("nothing")
    code, _, error = retseg("predict", tmp_path, "--run", trained_run, "-o", tmp_path / "out")
    assert code == 2
    assert str(tmp_path) in error
    assert error.count("\n") == 1


def test_killed_at_any_moment_only_whole_files_stay_and_resuming_gives_the_same(
    retseg: Retseg, trained_run: Path, images: list[Array], tmp_path: Path
):
    scans, out, undisturbed = tmp_path / "scans", tmp_path / "out", tmp_path / "undisturbed"
    scans.mkdir()
    for number in range(100):
        Image.fromarray(images[number % 3][40:140, number : number + 200]).save(scans / f"{number:02d}.png")
    call = ["predict", scans, "--run", trained_run, "-q", "--predict-anyway", "--save", "mask,surfaces"]
    process = subprocess.Popen(
        [sys.executable, "-m", "retseg", *map(str, call), "-o", out, "--jobs", "1"], stderr=subprocess.PIPE
    )
    waiting_until = time.monotonic() + 120
    while not list(out.glob("*_mask.png")) and time.monotonic() < waiting_until:
        time.sleep(0.005)
    process.kill()
    process.communicate()
    masks = list(out.glob("*_mask.png"))
    assert 1 <= len(masks) < 100
    for path in masks:
        assert read_labels(path).mask is not None
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    assert retseg(*call, "-o", out)[0] == 0
    assert retseg(*call, "-o", undisturbed)[0] == 0
    assert not list(out.rglob(".*"))
    after, expected = contents(out), contents(undisturbed)
    assert after.keys() == expected.keys()
    different = [name for name in after if "records" not in name and after[name] != expected[name]]
    assert not different
