"""sweep=optuna: a search that goes on, is replayed from its folders, and says so when all of it failed."""

import csv
import json

import pytest

from tests.conftest import TINY

pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="of the extra sweep")
SMALL = (
    *(option for option in TINY if not option.startswith("callbacks.") and "batch_size" not in option),
    "trainer.max_epochs=1",
    "sweep=optuna",
)


def exit_code(train, *options):
    try:
        train("", *options, tiny=SMALL)
    except SystemExit as leave:
        return leave.code
    return 0


def rows_of(sweep):
    with (sweep / "summary.csv").open() as file:
        return {row["job"]: row for row in csv.DictReader(file)}


def test_a_search_goes_on_where_it_stopped(train, tmp_path, capsys):
    options = ("hydra.sweeper.sampler.seed=1", f"hydra.sweep.dir={tmp_path / 'search'}")
    assert exit_code(train, *options, "hydra.sweeper.n_trials=2") == 0
    first = rows_of(tmp_path / "search")
    (tmp_path / "search" / "trial1" / "metrics.json").unlink()  # as if it had been killed there
    capsys.readouterr()
    assert exit_code(train, *options, "hydra.sweeper.n_trials=3") == 0
    assert capsys.readouterr().out.count("done already") == 1
    rows = rows_of(tmp_path / "search")
    assert list(rows) == ["trial0", "trial1", "trial2"]
    assert {name: rows[name] for name in first} == first
    assert len({row["optimizer.lr"] for row in rows.values()}) == 3
    assert all(1e-4 <= float(row["optimizer.lr"]) <= 1e-2 for row in rows.values())
    settings = json.loads((tmp_path / "search" / "trial2" / "job.json").read_text())["settings"]
    assert settings["data.batch_size"] in ("2", "4", "8")


def test_a_failed_job_stays_failed_for_the_search_went_on_without_it(train, tmp_path, capsys):
    options = ("optimizer.lr=-1", "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={tmp_path / 'search'}")
    assert exit_code(train, *options) == 2
    assert "the sweep ended before its end: ValueError: No trials are completed yet" in capsys.readouterr().err
    assert [row["state"] for row in rows_of(tmp_path / "search").values()] == ["failed", "failed"], "it went on"
    assert exit_code(train, *options) == 2
    assert "trial0 failed before, and the search went on without it: optimizer: Invalid" in capsys.readouterr().err
