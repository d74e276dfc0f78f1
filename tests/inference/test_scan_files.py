import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pytest
from PIL import Image, ImageDraw

from retseg.anatomy import CLASSES, SURFACE_NAMES
from retseg.bscan import Array, Spacing
from retseg.evaluation.label_files import read_labels
from retseg.geometry.thickness import SLABS
from retseg.inference.predicted import Finding, PredictedScan
from retseg.inference.preview import draw_preview
from retseg.inference.scan_files import write_mask, write_scan_files
from retseg.inference.surface_tables import number_lines
from tests.inference.drawn import draw, surfaces

UM = Spacing(4.0, 12.0, "user")
WIDTH, HEIGHT = 60, 50


def scan(spacing: Spacing = UM, *findings: Finding, probabilities: Array | None = None) -> PredictedScan:
    """Layers of 3.25 px, tilted; the first two columns have no retina."""
    rows = surfaces(WIDTH, 10.25, 3.25, 0.1)
    image = draw(rows, HEIGHT)
    rows[:, :2] = np.nan
    sd = np.where(np.isfinite(rows), 0.5, np.nan).astype(np.float32)
    return PredictedScan("eye = 1", 3, image, rows, sd, 2 * sd[0] - 0.25, spacing, findings, probabilities)


def test_pixel_values_of_a_mask_are_class_ids(tmp_path: Path):
    predicted = scan()
    (path,) = write_scan_files(predicted, tmp_path, ["mask"])
    assert path.name == "eye = 1_mask.png"
    image = Image.open(path)
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), predicted.mask)
    assert (np.asarray(image)[:, :2] == 0).all()
    assert image.getpalette()[: 3 * 8] == [level for layer in CLASSES for level in layer.colour]
    np.testing.assert_array_equal(read_labels(path).mask, predicted.mask)


def test_a_pixel_of_a_mask_takes_a_byte(tmp_path: Path):
    # Bytes 24 and 25 of a PNG file: bits a pixel, and 3 for indexed colour (PNG specification, 11.2.2).
    write_mask(scan().mask, tmp_path / "m.png")
    assert tuple((tmp_path / "m.png").read_bytes()[24:26]) == (8, 3)


def test_a_mask_of_any_shape_comes_back(tmp_path: Path):
    mask = np.arange(35).reshape(5, 7).astype(np.int8) % 8
    write_mask(mask, tmp_path / "m.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "m.png")), mask)


def test_surfaces_come_back_from_csv_to_a_hundredth_of_a_pixel(tmp_path: Path):
    predicted = scan()
    write_scan_files(predicted, tmp_path, ["surfaces"])
    found = read_labels(tmp_path / "eye = 1_surfaces.csv").surface_rows
    np.testing.assert_allclose(found, predicted.surface_rows, atol=0.0051)
    table = pandas.read_csv(tmp_path / "eye = 1_surfaces.csv")
    np.testing.assert_allclose(table["BM (um)"], 4 * predicted.surface_rows[7], atol=0.0051)
    np.testing.assert_allclose(table["x_um"], 12 * np.arange(WIDTH))
    np.testing.assert_allclose(table["ILM sd (px)"][2:], 0.5)
    assert table["ILM"].isna().sum() == 2


def test_json_tells_the_same_with_its_scale_and_convention(tmp_path: Path):
    predicted = scan(UM, Finding("check", "contrast", 'contrast "1.2"'))
    write_scan_files(predicted, tmp_path, ["surfaces"])
    told = json.loads((tmp_path / "eye = 1_surfaces.json").read_text())
    assert (told["bscan"], told["axial_um"], told["scale_source"], told["verdict"]) == (3, 4.0, "user", "check")
    assert told["findings"] == [{"level": "check", "rule": "contrast", "reason": 'contrast "1.2"'}]
    assert told["rows_px"]["ILM"][:3] == [None, None, pytest.approx(10.45, abs=0.0051)]
    assert told["depth_um"]["BM"][5] == pytest.approx(4 * float(predicted.surface_rows[7, 5]), abs=0.0051)
    assert list(told["rows_px"]) == list(SURFACE_NAMES)


def test_thickness_is_in_um_where_the_scale_is_known(tmp_path: Path):
    write_scan_files(scan(), tmp_path, ["thickness"])
    table = pandas.read_csv(tmp_path / "eye = 1_thickness.csv")
    np.testing.assert_allclose(table["NFL (um)"][2:], 13, atol=0.0051)
    np.testing.assert_allclose(table["total retina (um)"][2:], 91, atol=0.0051)
    assert table["NFL (um)"].isna().sum() == 2


def test_an_unknown_scale_gives_pixels_and_no_microns(tmp_path: Path):
    write_scan_files(scan(Spacing()), tmp_path, ["thickness", "surfaces"])
    for name in ("thickness", "surfaces"):
        header = (tmp_path / f"eye = 1_{name}.csv").read_text().splitlines()[0]
        assert "um" not in header.replace("column", "")
    assert "depth_um" not in json.loads((tmp_path / "eye = 1_surfaces.json").read_text())
    assert pandas.read_csv(tmp_path / "eye = 1_thickness.csv")["NFL (px)"][5] == 3.25


def test_intervals_stand_beside_the_thickness_and_never_below_zero(tmp_path: Path):
    half_widths = np.full((len(SLABS), WIDTH), 20.0)
    write_scan_files(scan(), tmp_path, ["thickness"], lambda _: half_widths)
    table = pandas.read_csv(tmp_path / "eye = 1_thickness.csv")
    assert table["NFL low (um)"][5] == 0
    np.testing.assert_allclose(table["NFL high (um)"][2:], 33, atol=0.0051)
    np.testing.assert_allclose(table["total retina low (um)"][2:], 71, atol=0.0051)


def test_every_line_is_a_column(tmp_path: Path):
    write_scan_files(scan(), tmp_path, ["surfaces", "thickness"])
    for path in tmp_path.glob("*.csv"):
        with path.open(newline="") as file:
            lines = list(csv.reader(file))
        assert len(lines) == WIDTH + 1
        assert {len(line) for line in lines} == {len(lines[0])}
        assert lines[1][0] == "0"


def test_probabilities_are_kept_on_request(tmp_path: Path):
    assert write_scan_files(scan(), tmp_path, ["probabilities"]) == []
    probabilities = np.random.default_rng(0).random((8, HEIGHT, WIDTH)).astype(np.float16)
    (path,) = write_scan_files(scan(probabilities=probabilities), tmp_path, ["probabilities"])
    with np.load(path, allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["probabilities"], probabilities)
        assert list(saved["class_names"]) == [layer.name for layer in CLASSES]


@pytest.mark.parametrize("verdict", ["pass", "check", "fail"])
def test_a_preview_shows_scan_and_layers_side_by_side(tmp_path: Path, verdict: str):
    predicted = scan(UM, *([] if verdict == "pass" else [Finding(verdict, "r", "a long reason " * 30)]))  # type: ignore[arg-type]
    (path,) = write_scan_files(predicted, tmp_path, ["overlay"])
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert picture.shape[1] == 640
    plain, layers = picture[26 : 26 + HEIGHT, 8 : 8 + WIDTH], picture[26 : 26 + HEIGHT, 16 + WIDTH : 16 + 2 * WIDTH]
    colourful = np.ptp(layers, axis=2) > 25
    is_layer = predicted.mask > 0
    assert colourful[is_layer].mean() > 0.6
    assert colourful[~is_layer].mean() < 0.1
    # The plain half is the scan, but for the bars of the scale in its lower left corner.
    assert np.abs(plain[:20].mean(axis=2) - predicted.image[:20]).mean() < 6


def test_a_preview_says_what_is_known_of_the_confidence(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda self, xy, words, **_: said.append(words))
    predicted = scan()
    nothing = np.full_like(predicted.surface_rows, np.nan)
    of_others = replace(predicted, confidence=nothing[0])
    for shown in (predicted, of_others, replace(of_others, surface_rows=nothing)):
        draw_preview(shown, shown.mask)
    told = [words for words in said if "confidence" in words or "retina" in words]
    assert told == ["strip: confidence of each column, mean 0.75", "confidence unknown", "no retina found"]


def test_nothing_half_written_stays_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        write_scan_files(scan(), tmp_path, ["mask"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("size", "decimals"), [(0.01, 3), (1, 2), (1e4, 2), (1e11, 1)])
def test_numbers_are_written_as_python_formats_them(size: float, decimals: int):
    rng = np.random.default_rng(0)
    table = rng.normal(0, size, (7, 5))
    table[rng.random(table.shape) < 0.2] = np.nan
    lines = [
        [
            "null" if np.isnan(value) else f"{np.rint(value * 10**decimals) / 10**decimals + 0:.{decimals}f}"
            for value in row
        ]
        for row in table
    ]
    assert number_lines(table, decimals, "null") == "".join(f"{','.join(line)}\n" for line in lines)


def test_unknown_numbers_are_empty_and_whole_ones_have_no_point():
    assert (
        number_lines(np.array([[0, 1.5, np.nan], [10, -0.004, -12.344]]), 2, num_whole=1) == "0,1.50,\n10,0.00,-12.34\n"
    )
    assert number_lines(np.full((2, 1), np.nan), 2) == "\n\n"
