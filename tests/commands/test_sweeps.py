"""Sweeps as they are typed: what they leave, and that a sweep started again does only what is missing."""

import csv
import json

import pytest

from tests.conftest import TINY

SMALL = (
    *(option for option in TINY if not option.startswith(("split.", "callbacks.", "evaluate="))),
    "callbacks.gradcam=null",
    "callbacks.predictions=null",
    "trainer.max_epochs=1",
)
RANDOM_AND_APART = ("data.source.num_graders=2", "data.size=[64,64]", "model.width=2", "trainer.max_epochs=1")


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_kfold_pools_all_folds_by_subject_and_goes_on_where_it_stopped(train, tmp_path, capsys):
    sweep = ("sweep=kfold", "split.num_folds=2", f"hydra.sweep.dir={tmp_path / 'kfold'}")
    train("", *sweep, "split.fold=0", tiny=SMALL)
    first = (tmp_path / "kfold" / "fold0" / "metrics.json").stat().st_mtime_ns
    capsys.readouterr()
    train("", *sweep, "split.fold=0,1", tiny=SMALL)
    assert "fold0: done already, left as it is" in capsys.readouterr().out
    assert (tmp_path / "kfold" / "fold0" / "metrics.json").stat().st_mtime_ns == first
    pooled = json.loads((tmp_path / "kfold" / "evaluation" / "metrics.json").read_text())
    assert pooled["subjects"] == ["s01", "s02", "s03", "s04"]
    assert pooled["num_scans"] == 8
    assert pooled["stamp"].startswith("subjects apart")
    row = next(
        row for row in pooled["scores"] if (row["score"], row["of"], row["average"]) == ("dice", "NFL", "pooled")
    )
    assert row["num_subjects"] == 4


def test_leakage_compares_both_kinds_of_split_by_subject(train, tmp_path, capsys):
    sweep = ("sweep=leakage", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'leak'}", *RANDOM_AND_APART)
    with pytest.raises(SystemExit) as left:
        train("", *sweep, "split=leakage_random", "split.val_fraction=0.5", tiny=SMALL)
    assert left.value.code == 2
    assert "no job with subjects apart is done; start the same command again" in capsys.readouterr().err
    train("", *sweep, "split=leakage_subjects", "split.num_folds=2", tiny=SMALL)
    rows = table(tmp_path / "leak" / "leakage.csv")
    assert [row["score"] for row in rows] == ["mean Dice of the layers", "mean absolute surface error, um"]
    for row in rows:
        difference = float(row["random_split"]) - float(row["subjects_apart"])
        assert float(row["difference"]) == pytest.approx(difference)
    assert (tmp_path / "leak" / "leakage.png").stat().st_size > 10_000
    assert "How much a leaky split pays" in capsys.readouterr().out


def test_ablation_compares_each_variant_with_the_baseline(train, tmp_path):
    options = ("sweep=ablation", "ablation=baseline,batch_32", "seed=0,1", f"hydra.sweep.dir={tmp_path / 'ablation'}")
    train("", *options, "data.size=[64,64]", "model.width=2", "trainer.max_epochs=1", tiny=SMALL)
    baseline, batch_32 = table(tmp_path / "ablation" / "ablation.csv")
    assert (baseline["ablation"], baseline["difference"], baseline["p_holm"]) == ("baseline", "", "")
    assert (batch_32["ablation"], batch_32["seeds"], batch_32["subjects"]) == ("batch_32", "2", "4")
    difference = float(batch_32["dice_layers"]) - float(baseline["dice_layers"])
    assert float(batch_32["difference"]) == pytest.approx(difference)
    jobs = {path.name for path in (tmp_path / "ablation").iterdir() if path.is_dir()}
    assert jobs == {f"{name}_seed{seed}" for name in ("baseline", "batch_32") for seed in (0, 1)}
