import csv

import lightning as L
import numpy as np
import pytest
import torch

from retseg.errors import InputError
from retseg.explain.gradcam import Score, gradcam
from retseg.figures.captions import caption_of
from retseg.training.callbacks.gradcam import TABLE_COLUMNS, GradCamCallback
from tests.training.callbacks.three_scans import QUIET, Data, Scans, generators, module

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),  # lightning 2.6.6 on torch 2.15
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),  # three tiny scans need none
]


@pytest.fixture
def trainer(tmp_path):
    return lambda *callbacks, **settings: L.Trainer(
        **QUIET | settings, default_root_dir=tmp_path, callbacks=list(callbacks)
    )


@pytest.fixture
def figures(monkeypatch):
    """The figures that would have been saved."""
    logged = []
    monkeypatch.setattr("retseg.training.callbacks.gradcam.log_figure", lambda run, key, figure: logged.append(figure))
    return logged


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def arrays(path):
    with np.load(path) as file:
        return dict(file)


def test_files_of_an_epoch(trainer, tmp_path):
    trainer(GradCamCallback(every_n_epochs=1)).fit(module(), datamodule=Data())
    saved = arrays(tmp_path / "gradcam" / "epoch_001.npz")
    assert {key.split("/")[0] for key in saved} == {"s01_b00", "s03_b10"}
    assert saved["s01_b00/image"].shape == (32, 64)
    assert saved["s01_b00/probabilities"].shape == (8, 32, 64)
    assert saved["s01_b00/conv2d_17/weights"].shape == (8, 4)
    assert saved["s01_b00/conv2d_17/raw"].shape == saved["s01_b00/conv2d_17/normalised"].shape == (8, 16, 32)
    assert saved["s01_b00/conv2d_17/raw_max"].tolist() == saved["s01_b00/conv2d_17/raw"].max((1, 2)).tolist()
    figures = sorted(path.relative_to(tmp_path / "figures").as_posix() for path in (tmp_path / "figures").rglob("*.*"))
    assert figures == [f"gradcam/{name}.{kind}" for name in ("s01_b00", "s03_b10") for kind in ("pdf", "png")]
    assert not list(tmp_path.rglob("*.tmp"))


def test_every_number_of_the_table_is_that_of_the_saved_maps(trainer, tmp_path, figures):
    trainer(GradCamCallback(every_n_epochs=1, layers=["conv2d_20", "conv2d_11"])).fit(module(), datamodule=Data())
    rows = table(tmp_path / "gradcam" / "table3.csv")
    saved = arrays(tmp_path / "gradcam" / "epoch_001.npz")
    assert len(rows) == 2 * 2 * 8
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert rows[0]["alpha_mean"] == "0.125"
    assert (rows[15]["module"], rows[15]["class_id"], rows[15]["class_name"]) == ("decoder5.relu2", "7", "OS-RPE")
    for row in rows:
        maps = {
            kind: saved[f"{row['scan']}/{row['layer']}/{kind}"][int(row["class_id"])]
            for kind in ("weights", "raw", "raw_max", "normalised")
        }
        expected = {
            "alpha_mean": maps["weights"].mean(),
            "alpha_abs_max": np.abs(maps["weights"]).max(),
            "raw_max": maps["raw_max"],
            "max_normalised": maps["normalised"].max(),
            "mean_intensity_normalised": maps["normalised"].mean(),
            "mean_intensity_raw": maps["raw"].mean(),
        }
        for column, value in expected.items():
            assert float(row[column]) == pytest.approx(float(value), rel=1e-4, abs=1e-9)


def test_other_methods_are_drawn_and_saved_beside(trainer, tmp_path):
    callback = GradCamCallback(["conv2d_15", "softmax"], methods=["gradcam", "layercam"], num_scans=1, every_n_epochs=1)
    trainer(callback).fit(module(), datamodule=Data())
    saved = arrays(tmp_path / "gradcam" / "epoch_001.npz")
    assert "s02_b05/conv2d_15/layercam/raw" in saved
    assert "s02_b05/conv2d_15/layercam/weights" not in saved  # it weighs pixels
    rows = table(tmp_path / "gradcam" / "table3.csv")
    assert [(row["method"], row["layer"]) for row in rows[::8]] == [
        (method, layer) for method in ("gradcam", "layercam") for layer in ("conv2d_15", "softmax")
    ]
    at_softmax = [
        row for row in rows if row["layer"] == "softmax" and row["raw_max"] != "0.0" and row["overlap"] != "nan"
    ]
    assert at_softmax
    assert all(row["repeats"] == "True" and "the map is P_c" in row["stamp"] for row in at_softmax)
    assert sorted(path.name for path in (tmp_path / "figures" / "gradcam").glob("*.png")) == [
        "s02_b05.png",
        "s02_b05_layercam.png",
    ]


def test_a_method_that_is_not_known_is_refused():
    with pytest.raises(InputError, match="method 'camera' is not known; choose from gradcam"):
        GradCamCallback(methods=["camera"])


def test_epochs_drawn_are_every_third_and_the_last_never_the_sanity_check(trainer, tmp_path, figures):
    trainer(GradCamCallback(["softmax"], num_scans=1, every_n_epochs=3), max_epochs=4).fit(module(), datamodule=Data())
    drawn = sorted(path.name for path in (tmp_path / "gradcam").glob("*.npz"))
    assert drawn == ["epoch_003.npz", "epoch_004.npz"]
    assert [row["epoch"] for row in table(tmp_path / "gradcam" / "table3.csv")] == ["3"] * 8 + ["4"] * 8


class StopAfterTwo(L.Callback):
    def on_validation_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch == 1


def test_the_last_epoch_is_drawn_when_training_stops_early(trainer, tmp_path, figures):
    trainer(GradCamCallback(["softmax"], num_scans=1), StopAfterTwo(), max_epochs=50).fit(module(), datamodule=Data())
    assert [path.name for path in (tmp_path / "gradcam").glob("*.npz")] == ["epoch_002.npz"]


@pytest.mark.parametrize(("fits", "settings"), [(1, {"val_check_interval": 0.5}), (2, {})])
def test_an_epoch_validated_twice_or_run_again_after_a_resume_has_its_rows_once(
    trainer, tmp_path, figures, fits, settings
):
    for _ in range(fits):
        trainer(GradCamCallback(["softmax"], num_scans=1), **settings).fit(module(), datamodule=Data())
    assert len(table(tmp_path / "gradcam" / "table3.csv")) == 8


def test_under_validate_in_inference_mode(trainer, tmp_path):
    model = module()
    layers = ["conv2d_20", "conv2d_19", "conv2d_11"]
    trainer(GradCamCallback(layers, scans=["s02_b05"])).validate(model, datamodule=Data(), verbose=False)
    saved = arrays(tmp_path / "gradcam" / "validate.npz")
    cam = gradcam(model.net, Scans()[1]["image"][None], layers)
    for layer in layers:
        assert np.array_equal(saved[f"s02_b05/{layer}/raw"], cam[layer].raw[0].numpy())
    rows = table(tmp_path / "gradcam" / "table3_validate.csv")
    assert {row["epoch"] for row in rows} == {""}
    assert (tmp_path / "figures" / "gradcam_validate" / "s02_b05.png").exists()


def test_training_ends_with_the_same_weights_and_random_state(trainer, tmp_path):
    ends = []
    for callbacks in ([], [GradCamCallback(every_n_epochs=1)]):
        trainer(*callbacks, max_epochs=2).fit(model := module(), datamodule=Data())
        ends.append((model.state_dict(), generators()))
    (weights, random_states), (weights_with, random_states_with) = ends
    assert len(list((tmp_path / "gradcam").glob("*.npz"))) == 2
    assert all(torch.equal(value, weights_with[name]) for name, value in weights.items())
    assert random_states == random_states_with


class Snapshots(L.Callback):
    """State of model and random generators at the end of validation: one object before the callback, one after."""

    def on_validation_start(self, trainer, pl_module):
        pl_module.net.head.weight.grad = torch.full_like(pl_module.net.head.weight, 7.0)

    def on_validation_end(self, trainer, pl_module):
        self.weights = {name: value.clone() for name, value in pl_module.state_dict().items()}
        self.gradients = {name: None if p.grad is None else p.grad.tolist() for name, p in pl_module.named_parameters()}
        self.modes = [module.training for module in pl_module.modules()]
        self.random = generators()


@pytest.fixture(scope="module")
def around(tmp_path_factory):
    """Snapshots just before and just after the callback has drawn at the end of an epoch."""
    before, after = Snapshots(), Snapshots()
    callbacks = [before, GradCamCallback(every_n_epochs=1), after]
    run = L.Trainer(default_root_dir=tmp_path_factory.mktemp("around"), callbacks=callbacks, **QUIET)
    run.fit(module(), datamodule=Data())
    return before, after


def test_weights_and_batchnorm_statistics_stay(around):
    before, after = around
    assert any("running_mean" in name for name in before.weights)
    assert all(torch.equal(value, after.weights[name]) for name, value in before.weights.items())


def test_gradients_stay(around):
    before, after = around
    assert before.gradients == after.gradients
    assert {name for name, gradient in after.gradients.items() if gradient} == {"net.head.weight"}


def test_modes_stay(around):
    before, after = around
    assert before.modes == after.modes


def test_random_states_stay(around):
    before, after = around
    assert before.random == after.random


def test_a_class_that_nothing_speaks_for_is_blank_and_named(trainer, tmp_path, figures):
    model = module()
    model.net.head.bias.data[7] = -1e4
    run = trainer(GradCamCallback(["conv2d_20", "conv2d_19"], num_scans=1))
    run.validate(model, datamodule=Data(), verbose=False)
    last = table(tmp_path / "gradcam" / "table3_validate.csv")[15]
    assert (last["class_name"], last["raw_max"], last["mean_intensity_normalised"]) == ("OS-RPE", "0.0", "0.0")
    assert "absent" in [text.get_text() for text in figures[0].texts]


def test_the_colours_can_be_scaled_to_a_quantile(trainer, figures):
    run = trainer(GradCamCallback(["conv2d_11"], num_scans=1, peak_quantile=0.995))
    run.validate(module(), datamodule=Data(), verbose=False)
    assert "divided by its 99.5% quantile and clipped" in caption_of(figures[0])


def test_the_table_and_figures_go_to_the_loggers(trainer, monkeypatch):
    sent, place = [], "retseg.training.callbacks.gradcam"
    monkeypatch.setattr(f"{place}.log_figure", lambda run, key, figure: sent.append(key))
    monkeypatch.setattr(f"{place}.log_table", lambda run, key, columns, rows: sent.append((key, columns, len(rows))))
    trainer(GradCamCallback(["softmax"])).fit(module(), datamodule=Data())
    assert sent == ["gradcam/s01_b00", "gradcam/s03_b10", ("gradcam/table3", TABLE_COLUMNS, 16)]


def test_only_the_first_process_writes(trainer, tmp_path, monkeypatch):
    monkeypatch.setattr(L.Trainer, "is_global_zero", False)
    trainer(GradCamCallback(["softmax"], every_n_epochs=1)).fit(module(), datamodule=Data())
    assert not list(tmp_path.glob("**/*.npz"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layers": ["conv2d_91"]}, "layer 'conv2d_91' is not in this network; did you mean conv2d_9, conv2d_1"),
        ({"score": Score(of="logit")}, "layer 'conv2d_20' is the softmax"),
        ({"scans": ["s01_b00", "s09_b09"]}, "gradcam.scans: 's09_b09' is not in the validation set; .* s01_b00, s02"),
    ],
)
def test_wrong_names_are_refused_before_the_first_epoch(trainer, tmp_path, settings, message):
    run = trainer(GradCamCallback(**settings), max_epochs=50)
    with pytest.raises(InputError, match=message):
        run.fit(module(), datamodule=Data())
    assert run.global_step == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_scans": 0}, "gradcam: num_scans 0 and every_n_epochs 10, expected at least 1"),
        ({"peak_quantile": 0}, "gradcam.peak_quantile: 0, expected above 0 and at most 1"),
    ],
)
def test_wrong_numbers_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        GradCamCallback(**settings)
