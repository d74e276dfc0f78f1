"""`retseg explain` as it is typed, on a run that was really trained."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from retseg.__main__ import app
from retseg.build import build_source, load_config
from retseg.data.transforms import normalise, resize
from retseg.errors import InputError
from retseg.explain.records import RECORD_COLUMNS

LAYERS = "conv2d_20,conv2d_17"


def run_command(*words):
    return CliRunner().invoke(app, ["explain", *map(str, words)], catch_exceptions=False)


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def explained(trained_run, tmp_path_factory):
    """All held-out scans by two methods at two layers, with one figure, and what the command printed."""
    folder = tmp_path_factory.mktemp("explained") / "explanation"
    words = ("--methods", "gradcam,layercam", "--layers", LAYERS, "--figures", "1", "-o", folder)
    done = run_command(trained_run, *words)
    assert done.exit_code == 0, done.output
    return folder, done.output


def test_every_held_out_scan_has_its_maps_with_coordinates_and_scale(trained_run, explained):
    folder, _ = explained
    split = json.loads((trained_run / "split.json").read_text())
    assert {path.stem for path in (folder / "maps").iterdir()} == set(split["val"])
    name = split["val"][0]
    maps = np.load(folder / "maps" / f"{name}.npz")
    source = build_source(load_config(trained_run))
    scan = source.read(next(key for key in source.keys if key.name == name))
    size = tuple(load_config(trained_run).data.size)
    assert np.allclose(maps["image"], normalise(resize(scan, *size).image), atol=1e-6)
    assert maps["pixel_um"] == pytest.approx([scan.spacing.axial_um * scan.shape[0] / size[0],
                                              scan.spacing.lateral_um * scan.shape[1] / size[1]])  # fmt: skip
    # The first and the last network pixel lie as far from the scan's borders.
    assert maps["rows_px"][0] + 0.5 == pytest.approx(scan.shape[0] - 0.5 - maps["rows_px"][-1])
    raw, normalised = maps["layercam/conv2d_17/raw"], maps["layercam/conv2d_17/normalised"]
    assert raw.shape[0] == 8
    assert len(maps["layercam/conv2d_17/rows_px"]) == raw.shape[1]
    assert np.allclose(normalised * maps["layercam/conv2d_17/raw_max"][:, None, None], raw, atol=1e-7)
    assert maps["gradcam/conv2d_17/weights"].shape[0] == 8
    assert "layercam/conv2d_17/weights" not in maps


def test_tables_hold_a_row_a_map_and_a_row_a_layer(explained):
    folder, _ = explained
    table = rows(folder / "maps.csv")
    num_scans = len(list((folder / "maps").iterdir()))
    assert tuple(table[0]) == RECORD_COLUMNS
    assert len(table) == num_scans * 2 * 2 * 8
    summary = rows(folder / "summary.csv")
    assert [(row["method"], row["layer"]) for row in summary] == [
        (method, layer) for method in ("gradcam", "layercam") for layer in LAYERS.split(",")
    ]
    softmax = summary[0]
    assert softmax["repeating"] == softmax["num_maps"]
    assert softmax["identity"] == "identities 1 and 2: the map is P_c"
    deeper = [row for row in table if row["layer"] == "conv2d_17" and row["method"] == "gradcam" and row["overlap"]]
    kept = [row for row in deeper if row["class_id"] != "0"]
    assert int(summary[1]["num_maps"]) == len(kept)
    assert int(summary[1]["repeating"]) == sum(row["repeats"] == "True" for row in kept)


def test_the_screen_says_what_follows_by_arithmetic_and_who_was_held_out(explained):
    _, screen = explained
    assert "identities 1 and 2: the map is P_c" in screen
    assert "subjects apart" in screen
    assert "written to" in screen


def test_as_many_scans_are_drawn_as_asked(explained):
    folder, _ = explained
    drawn = sorted(path.name for path in (folder / "figures").glob("*.png"))
    assert len(drawn) == 2
    assert drawn[0].endswith("_gradcam.png")


def test_tests_leave_curves_and_verdicts(trained_run, tmp_path):
    words = ("--layers", "conv2d_17", "--check", "--checked", "1", "--figures", "0", "-o", tmp_path / "out")
    done = run_command(trained_run, *words, "--other-seed", trained_run, "--random-labels", trained_run)
    assert done.exit_code == 0, done.output
    assert "5 subjects are needed to compare with baselines, here are 2" in " ".join(done.output.split())
    (verdict,) = rows(tmp_path / "out" / "verdicts.csv")
    assert verdict["ROAD, dice"] == "unknown: 2 subjects, 5 needed"
    assert verdict["random labels"] == "fails"  # the very same network: nothing was lost
    assert float(verdict["another training seed, rank correlation"]) == pytest.approx(1)
    curves = rows(tmp_path / "out" / "curves.csv")
    assert {row["perturbation"] for row in curves} == {"deletion", "insertion", "ROAD"}
    assert {row["map"] for row in curves} == {"gradcam at conv2d_17", "random at conv2d_17", "edge", "prediction"}
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.png")}
    assert figures == {"verdicts", "faithfulness_conv2d_17", "randomisation_conv2d_17"}


def test_an_earlier_calls_files_are_gone_and_others_stay(trained_run, tmp_path):
    folder, name = tmp_path / "out", json.loads((trained_run / "split.json").read_text())["val"][0]
    assert run_command(trained_run, "--layers", "conv2d_19", "--figures", "1", "-o", folder).exit_code == 0
    (folder / "verdicts.csv").write_text("of other maps")
    (folder / "notes.txt").write_text("mine")
    assert run_command(trained_run, name, "--layers", "conv2d_19", "--figures", "0", "-o", folder).exit_code == 0
    assert {path.name for path in folder.iterdir()} == {
        "explanation.json", "maps", "maps.csv", "summary.csv", "notes.txt"
    }  # fmt: skip
    assert [path.stem for path in (folder / "maps").iterdir()] == [name]


def test_image_files_need_no_labels_and_no_scale(trained_run, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 96)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "eye.png")
    done = run_command(trained_run, tmp_path / "eye.png", "--layers", "conv2d_19", "-o", tmp_path / "out", "--overlays")
    assert done.exit_code == 0, done.output
    table = rows(tmp_path / "out" / "maps.csv")
    assert {(row["scan"], row["unit"], row["reference"]) for row in table} == {("eye", "px", "prediction")}
    assert np.isnan(np.load(tmp_path / "out" / "maps" / "eye.npz")["pixel_um"]).all()
    assert len(list((tmp_path / "out" / "figures" / "overlays").glob("*.png"))) == 7


@pytest.mark.parametrize("over", ["true", "predicted", "pixel:30,40", "surface:ILM,2"])
def test_scores_over_parts_of_a_scan(trained_run, tmp_path, over):
    name = json.loads((trained_run / "split.json").read_text())["val"][0]
    words = ("--of", "logit", "--over", over, "--layers", "conv2d_17", "--figures", "0", "-o", tmp_path / "out")
    done = run_command(trained_run, name, *words)
    assert done.exit_code == 0, done.output
    said = {
        "true": "the pixels annotated as c",
        "predicted": "the pixels predicted as c",
        "pixel:30,40": "the pixel in row 30, column 27",  # 64 x 96 px are seen as 64 x 64
        "surface:ILM,2": "a band of 2 px to either side of the annotated ILM",
    }
    assert said[over] in json.loads((tmp_path / "out" / "explanation.json").read_text())["score"]


def test_a_mask_of_the_user_is_the_score(trained_run, tmp_path):
    name = json.loads((trained_run / "split.json").read_text())["val"][0]
    mask = np.zeros((64, 96), np.uint8)
    mask[20:40] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    words = ("--over", f"mask:{tmp_path / 'mask.png'}", "--layers", "conv2d_17", "--figures", "0", "-o", tmp_path / "o")
    assert run_command(trained_run, name, *words).exit_code == 0
    Image.fromarray(mask[:50]).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"mask.png: a mask of \(50, 96\) pixels for .*, which has \(64, 96\)"):
        run_command(trained_run, name, *words)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--layers", "conv2d_99"], r"layer 'conv2d_99' is not in this network; did you mean conv2d_"),
        (["--methods", "camera"], r"method 'camera' is not known; fast: gradcam, .*; slow: occlusion"),
        (["--over", "everywhere"], r"--over everywhere: expected image, predicted, true, pixel:ROW,COLUMN"),
        (["--over", "surface:RPE"], r"--over surface:RPE: no surface 'RPE'; the surfaces are ILM"),
        (["--over", "pixel:3"], r"--over pixel:3: expected pixel:ROW,COLUMN"),
        (["--over", "mask:nowhere.png"], r"--over mask:nowhere.png: no such file"),
        (["s99_b00"], r"s99_b00: no such scan in phantom and no image file; it has s01_b00 to s04_b01"),
        (["nowhere.png"], r"nowhere.png: no such file"),
        (["--methods", "occlusion", "--check"], r"--check with occlusion: only fast methods can be tested"),
        (["--methods", ","], r"--methods: none given"),
    ],
)
def test_wrong_words_are_one_line(trained_run, tmp_path, words, line):
    with pytest.raises(InputError, match=line):
        run_command(trained_run, *words, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_file_is_as_good_as_its_run(trained_run, tmp_path):
    name = json.loads((trained_run / "split.json").read_text())["val"][0]
    words = (name, "--layers", "conv2d_19", "--figures", "0", "-o", tmp_path / "out")
    assert run_command(trained_run / "checkpoints" / "last.ckpt", *words).exit_code == 0
    assert json.loads((tmp_path / "out" / "explanation.json").read_text())["checkpoint"] == "last"
    with pytest.raises(InputError, match=r"config.yaml: no checkpoint in a run folder"):
        run_command(trained_run / "config.yaml", *words)
