import json

import pytest

from retseg.bscan import ScanKey
from retseg.data.split_file import read_members, read_split_file
from retseg.data.splits import PaperSplit
from retseg.errors import InputError

KEYS = tuple(ScanKey(grader, subject, bscan) for grader in (1, 2) for subject in ("s01", "s02") for bscan in (10, 15))


@pytest.fixture
def file(tmp_path):
    """Writes a split file, from sides or from plain text."""

    def write(content=None, **sides):
        path = tmp_path / "split.json"
        path.write_text(content if content is not None else json.dumps(sides))
        return path

    return write


def named(keys):
    return [key.name for key in keys]


def test_members_by_key_by_bscan_by_subject_and_by_index(file):
    train, val, test = read_split_file(file(train=["s01_b10_g1", "s02"], val=["s01_b15"], test=[4]), KEYS)
    assert named(train) == ["s01_b10_g1", "s02_b10_g1", "s02_b15_g1", "s02_b10_g2", "s02_b15_g2"]
    assert named(val) == ["s01_b15_g1", "s01_b15_g2"]
    assert named(test) == ["s01_b10_g2"]


def test_an_index_is_the_place_among_the_sorted_keys_grader_first(file):
    train, val, test = read_split_file(file(train=[3, 0], val=[7]), tuple(reversed(KEYS)))
    assert named(train) == ["s02_b15_g1", "s01_b10_g1"]
    assert named(val) == ["s02_b15_g2"]
    assert test == ()


def test_scans_that_nobody_annotated_are_named_by_their_bscan(file):
    keys = (ScanKey(0, "s01", 3), ScanKey(1, "s01", 3), ScanKey(0, "eye.2", 0))
    train, val, _ = read_split_file(file(train=["s01_b03"], val=["eye.2"]), keys)
    assert named(train) == ["s01_b03", "s01_b03_g1"]
    assert named(val) == ["eye.2_b00"]


def test_reads_what_a_split_saves(tmp_path):
    split = PaperSplit(val_fraction=0.25)(KEYS)
    split.save(tmp_path / "split.json")
    assert read_split_file(tmp_path / "split.json", KEYS) == (split.train, split.val, ())


def test_the_same_scan_on_two_sides_is_the_audits_business(file):
    train, val, _ = read_split_file(file(train=["s01"], val=["s01_b10_g1"]), KEYS)
    assert set(val) < set(train)


def test_members_may_be_words_of_any_kind(file):
    places = {"a.png": [0], "b.png": [1], "all": [0, 1]}
    assert read_members(file(train=["all"], val=["b.png"]), places, ["a.png", "b.png"]) == ((0, 1), (1,), ())


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({"train": ["s01"]}, r"split.json: val is not there, expected a list of at least one scan"),
        ({"train": [], "val": ["s01"]}, r"split.json: train is empty, expected a list of at least one scan"),
        ({"train": "s01", "val": ["s02"]}, r"split.json: train is 's01', expected a list"),
        ({"train": ["s01"], "val": ["s02"], "test": 3}, r"split.json: test is 3, expected a list"),
        ({"train": ["s01"], "val": ["s02_b11"]}, r"val: no scan or subject 's02_b11' among the 8.*did you mean s02_b1"),
        ({"train": ["s01"], "val": ["zz"]}, r"val: no scan or subject 'zz' .*names look like s01_b10_g1"),
        ({"train": ["s01"], "val": [8]}, r"val: index 8, the data has scans 0 to 7"),
        ({"train": [-1], "val": [0]}, r"train: index -1, the data has scans 0 to 7"),
        ({"train": [True], "val": [0]}, r"train: True, expected names or whole numbers"),
        ({"train": [1.0], "val": [0]}, r"train: 1.0, expected names or whole numbers"),
        ({"train": [5, 5], "val": [0]}, r"train: s01_b15_g2 is listed twice; list it once"),
        ({"train": ["s01", 1], "val": [3]}, r"train: s01_b15_g1 is listed twice, as 's01' and as 1; list it once"),
    ],
)
def test_refuses_what_names_no_scan(file, sides, message):
    with pytest.raises(InputError, match=message):
        read_split_file(file(**sides), KEYS)


@pytest.mark.parametrize(
    ("content", "message"),
    [("train: s01", "not JSON"), ("[1, 2]", "holds a list, expected an object"), ("", "not JSON")],
)
def test_refuses_files_that_are_no_split(file, content, message):
    with pytest.raises(InputError, match=message):
        read_split_file(file(content), KEYS)


def test_refuses_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_split_file(tmp_path / "gone.json", KEYS)
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        read_split_file(tmp_path, KEYS)
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not JSON"):
        read_split_file(tmp_path / "binary.json", KEYS)
