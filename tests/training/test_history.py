from retseg.training.history import HistoryLogger, read_history


def test_training_and_validation_of_an_epoch_share_a_row(tmp_path):
    logger = HistoryLogger(str(tmp_path))
    logger.log_metrics({"val/loss": 2.0, "epoch": 0}, step=3)
    logger.log_metrics({"train/loss": 1.0, "epoch": 0}, step=3)
    logger.log_metrics({"val/loss": 1.5, "epoch": 1}, step=6)
    assert read_history(tmp_path / "metrics.csv") == [
        {"epoch": "0", "step": "3", "train/loss": "1.0", "val/loss": "2.0"},
        {"epoch": "1", "step": "6", "train/loss": "", "val/loss": "1.5"},
    ]


def test_a_resumed_run_goes_on_in_the_same_file_and_replaces_an_epoch_done_again(tmp_path):
    for value in (2.0, 1.5):
        HistoryLogger(str(tmp_path)).log_metrics({"val/loss": value, "epoch": 0}, step=3)
    logger = HistoryLogger(str(tmp_path))
    logger.log_metrics({"val/loss": 1.0, "epoch": 1}, step=6)
    assert [row["val/loss"] for row in read_history(tmp_path / "metrics.csv")] == ["1.5", "1.0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv"]


def test_values_without_an_epoch_are_not_of_an_epoch(tmp_path):
    HistoryLogger(str(tmp_path)).log_metrics({"val/loss": 1.0})
    assert not (tmp_path / "metrics.csv").exists()
