import numpy as np
import pytest
from PIL import Image

from retseg.anatomy import SURFACE_NAMES
from retseg.errors import InputError
from retseg.evaluation.label_files import label_files, read_labels
from retseg.evaluation.labelling import Labelling
from tests.evaluation.drawn import TRUTH

SURFACES = Labelling.from_mask(TRUTH).surface_rows


@pytest.mark.parametrize("ending", ["npy", "png", "tif", "tiff", "npz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_masks_of_any_format(tmp_path, ending, dtype):
    path = tmp_path / f"scan.{ending}"
    if ending == "npy":
        np.save(path, TRUTH.astype(dtype))
    elif ending == "npz":
        np.savez(path, mask=TRUTH.astype(dtype))
    else:
        Image.fromarray(TRUTH.astype(np.uint8)).save(path)
    assert (read_labels(path).mask == TRUTH).all()


def test_an_indexed_png_gives_its_indices(tmp_path):
    image = Image.fromarray(TRUTH.astype(np.uint8), mode=None)
    image = image.convert("P")
    image.putpalette([200, 10, 10] * 256)
    image.putdata(TRUTH.ravel().tolist())
    image.save(tmp_path / "scan.png")
    assert (read_labels(tmp_path / "scan.png").mask == TRUTH).all()


def test_surfaces_by_name_or_in_order(tmp_path):
    lines = [",".join(f"{row:g}" for row in column) for column in SURFACES.T]
    (tmp_path / "plain.csv").write_text("\n".join(lines))
    names = ["column", *reversed(SURFACE_NAMES)]
    named = [",".join([str(i), *reversed(line.split(","))]) for i, line in enumerate(lines)]
    (tmp_path / "named.csv").write_text("\n".join([",".join(names), *named]))
    np.save(tmp_path / "rows.npy", SURFACES)
    for name in ("plain.csv", "named.csv", "rows.npy"):
        assert (read_labels(tmp_path / name).surface_rows == SURFACES).all(), name


def test_an_empty_cell_is_an_unknown_surface(tmp_path):
    (tmp_path / "scan.csv").write_text("1,2,3,4,5,6,7,8\n1,,3,4,5,nan,7,8\n")
    rows = read_labels(tmp_path / "scan.csv").surface_rows
    assert np.isnan(rows[[1, 5], 1]).all()
    assert rows[7, 1] == 8


def test_a_label_can_mean_that_nobody_annotated(tmp_path):
    mask = TRUTH.astype(np.uint8)
    mask[0, 3] = 255
    Image.fromarray(mask).save(tmp_path / "scan.png")
    with pytest.raises(InputError, match=r"label 255 at row 0, column 3, expected 0..7, or -1.*--ignore-label 255"):
        read_labels(tmp_path / "scan.png")
    assert read_labels(tmp_path / "scan.png", [255]).mask[0, 3] == -1


def write(path, kind):
    """A file that breaks a rule."""
    if kind == "rgb":
        Image.fromarray(np.zeros((7, 5, 3), np.uint8)).save(path)
    elif kind == "pages":
        page = Image.fromarray(TRUTH.astype(np.uint8))
        page.save(path, save_all=True, append_images=[page])
    elif kind == "stack":
        np.save(path, np.zeros((2, 7, 5)))
    elif kind == "half":
        np.save(path, np.full((7, 5), 0.5))
    elif kind == "infinite":
        np.save(path, np.full((8, 5), np.inf))
    elif kind == "no mask":
        np.savez(path, labels=TRUTH)
    else:
        path.write_bytes(kind)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("a.png", "rgb", "an image of mode RGB, expected class ids as gray or indexed pixels"),
        ("a.tif", "pages", "2 pages, expected one mask"),
        ("a.png", b"", "not a whole image"),
        ("a.png", b"<html>", "not a whole image"),
        ("a.npy", b"", "not a whole .npy array"),
        ("a.npy", "stack", r"array \(2, 7, 5\) of float64, expected one mask"),
        ("a.npy", "half", r"label 0.5 at row 0, column 0, expected 0..7"),
        ("a.npy", "infinite", "ILM, column 0: infinite row"),
        ("a.npz", "no mask", "no array mask or surface_rows in it, but labels"),
        ("a.csv", b"", "empty; expected a line for each A-scan"),
        ("a.csv", b"depth,width\n1,2\n", "columns depth, width; expected ILM"),
        ("a.csv", b"1,2,3,4,5,6,7,8\n1,2,x,4,5,6,7,8\n", "line 2: 'x' for IPL/INL"),
        ("a.csv", b"\xff\xfe\x00", "not a table of numbers"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, name, kind, message):
    write(tmp_path / name, kind)
    with pytest.raises(InputError, match=message) as error:
        read_labels(tmp_path / name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_folders_give_files_by_stem(tmp_path):
    np.save(tmp_path / "a.npy", TRUTH)
    (tmp_path / "notes.txt").write_text("")
    assert label_files(tmp_path) == {"a": tmp_path / "a.npy"}
    np.savez(tmp_path / "a.npz", mask=TRUTH)
    with pytest.raises(InputError, match="has the same stem"):
        label_files(tmp_path)
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        label_files(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no file of labels here; expected .npz"):
        label_files(tmp_path / "empty")
