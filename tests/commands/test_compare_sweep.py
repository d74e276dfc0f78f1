"""`retseg compare SWEEP` on sweep folders with scores that are known."""

import csv
import itertools
import json

import pytest

from retseg.commands.sweep_folder import SCORES


def write_job(sweep, number, settings, score, stamp="subjects apart (1 held out)"):
    folder = sweep / f"job{number}"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"job": number, "settings": settings}))
    if score is None:
        (folder / "FAILED").write_text("RuntimeError: [no] memory\nan error\n")
        return
    (folder / "config.yaml").write_text("seed: 0\n")
    scores = dict.fromkeys(SCORES, 0.5) | {"dice_macro_layers": score, "loss": 1 - score}
    metrics = {"val": {"scores": scores}, "stamp": stamp, "split": {"stamp": stamp}, "checkpoint": {"epoch": 1}}
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture
def grid(tmp_path):
    """Two rates x two losses x two seeds: the rate is worth 0.2, the loss nothing, a seed 0.01 or less."""
    jobs = itertools.product(("0.001", "0.01"), ("eq3", "dice"), ("0", "1"))
    for number, (rate, loss, seed) in enumerate(jobs):
        score = 0.5 + 0.2 * (rate == "0.001") + 0.01 * (seed == "1") * (1 if loss == "eq3" else 0.8)
        settings = {"experiment": "phantom", "optimizer.lr": rate, "loss": loss, "seed": seed}
        write_job(tmp_path / "sweep", number, settings, score)
    return tmp_path / "sweep"


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_grid_says_which_setting_matters_and_draws_it(grid, tmp_path, retseg):
    code, screen, _ = retseg("compare", grid, "-o", tmp_path / "out")
    assert code == 0
    jobs = rows_of(tmp_path / "out" / "jobs.csv")
    assert [float(row["val/dice_macro_layers"]) for row in jobs] == sorted(
        (0.7, 0.71, 0.7, 0.708, 0.5, 0.51, 0.5, 0.508), reverse=True
    )
    assert set(jobs[0]) >= {"optimizer.lr", "loss", "seed", "state"}
    assert "experiment" not in jobs[0], "it does not vary"
    shares = {row["of"]: row for row in rows_of(tmp_path / "out" / "importance.csv")}
    assert list(shares) == ["optimizer.lr", "loss", "optimizer.lr x loss", "seeds"]
    assert float(shares["optimizer.lr"]["share"]) > 0.99
    assert sum(float(row["share"]) for row in shares.values()) == pytest.approx(1)
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert found["verdict"].startswith("what matters beyond the scatter of seeds: optimizer.lr (100 % of the variance")
    assert "loss" not in found["verdict"]
    assert found["verdict"] in screen
    for name in ("settings", "importance"):
        assert (tmp_path / "out" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / "out" / f"{name}.pdf").read_bytes().startswith(b"%PDF")


def test_loss_is_best_when_it_is_low(grid, retseg):
    _, screen, _ = retseg("compare", grid, "--score", "loss")
    lines = [line.split() for line in screen.splitlines() if line.startswith("job") and "val" not in line]
    values = [float(line[-1]) for line in lines]
    assert values == sorted(values)


def test_a_failed_job_is_listed_with_its_reason_and_nothing_is_made_of_the_gap(grid, tmp_path, retseg):
    write_job(grid, 8, {"experiment": "phantom", "optimizer.lr": "0.1", "loss": "eq3", "seed": "0"}, None)
    _, screen, _ = retseg("compare", grid, "-o", tmp_path / "out")
    assert "job8 failed: RuntimeError: [no] memory" in screen
    assert "too few jobs to tell: no full grid, and a forest on 2 setting(s) needs 20 jobs, 8 are done" in screen
    assert rows_of(tmp_path / "out" / "jobs.csv")[-1]["reason"] == "RuntimeError: [no] memory"
    assert not (tmp_path / "out" / "importance.csv").exists()


def test_one_seed_tells_shares_but_not_how_sure_they_are(tmp_path, retseg):
    for number, rate in enumerate(("0.001", "0.01", "0.1")):
        write_job(tmp_path / "sweep", number, {"optimizer.lr": rate}, 0.5 + 0.1 * number)
    _, screen, _ = retseg("compare", tmp_path / "sweep")
    assert "too few jobs to tell how sure this is: one seed for each combination" in screen


def test_seeds_alone_are_no_setting(tmp_path, retseg):
    for seed in ("0", "1"):
        write_job(tmp_path / "sweep", int(seed), {"seed": seed}, 0.5)
    _, screen, _ = retseg("compare", tmp_path / "sweep")
    assert "too few jobs to tell: no setting varies but the seed" in screen


def test_a_search_is_told_by_a_forest(tmp_path, retseg):
    for number in range(24):
        rate, width = 10 ** (-4 + number / 12), (7 * number) % 24 / 24
        settings = {"optimizer.lr": repr(rate), "loss.dice_weight": repr(width)}
        write_job(tmp_path / "sweep", number, settings, 0.4 + number / 60)
    _, screen, _ = retseg("compare", tmp_path / "sweep")
    assert "what matters most: optimizer.lr (" in screen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--score", "dicee"), "--score dicee: expected one of dice_macro_layers, iou_macro_layers"),
        ((), "job0: no job.json, it was begun by an older retseg"),
    ],
)
def test_what_cannot_be_compared_is_one_line(grid, retseg, options, message):
    if not options:
        (grid / "job0" / "job.json").unlink()
    code, _, errors = retseg("compare", grid, *options)
    assert code == 2
    assert message in errors
    assert errors.count("\n") == 1
