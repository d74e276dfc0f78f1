import json

import pytest

from retseg.bscan import ScanKey
from retseg.build import make
from retseg.data.protocols import SplitFromFile, SpreadOverSubjects, SubjectSets
from retseg.data.splits import PaperSplit, Protocol
from retseg.errors import InputError
from tests.test_conf import composed

BSCANS = (10, 15, 20, 25, 28, 30, 32, 35, 40, 45, 50)
KEYS = [ScanKey(g, f"s{s:02d}", b) for g in (1, 2) for s in range(1, 11) for b in BSCANS]


def subjects(keys):
    return sorted({int(key.subject[1:]) for key in keys})


def preset(name):
    return make(composed(f"split={name}").split, "split")(KEYS)


def test_ynet_keeps_two_subjects_for_validation_and_two_for_the_test():
    split = preset("ynet")
    assert [subjects(split.train), subjects(split.val), subjects(split.test)] == [[1, 2, 3, 4, 5, 6], [7, 8], [9, 10]]
    assert split.scored == split.test
    assert split.stamp == "subjects apart (2 held out)"


@pytest.mark.parametrize(("name", "train", "scored"), [("he2019", 6, 1), ("relaynet", 1, 6)])
def test_halves_without_a_validation_set_of_their_own(name, train, scored):
    split = preset(name)
    assert (subjects(split.train), subjects(split.val)) == (
        list(range(train, train + 5)),
        list(range(scored, scored + 5)),
    )
    assert split.scored == split.val
    assert split.test == ()


def test_he2019_scores_500_columns():
    first, end = preset("he2019").protocol.columns
    assert (first, end - first) == (134, 500)


def test_cvip2018_spreads_33_of_110_bscans_evenly_over_the_subjects():
    split = preset("cvip2018")
    held_out = {key.scan_name for key in split.val}
    assert (len(held_out), len({key.scan_name for key in split.train})) == (33, 77)
    by_subject = [sum(name.startswith(f"s{s:02d}") for name in held_out) for s in range(1, 11)]
    assert sorted(by_subject) == [3] * 7 + [4] * 3
    assert split.shared_scans == (), "the graders of a B-scan stay together"
    assert split.stamp.startswith("leaky split: 0 of 66 validation B-scans are also in training, 10 subjects")
    assert SpreadOverSubjects(seed=1)(KEYS).val != split.val


@pytest.mark.parametrize("name", ["paper", "cvip2018", "ynet", "he2019", "relaynet"])
def test_a_published_split_names_its_source_and_what_it_scores(name, tmp_path):
    split = preset(name)
    split.save(tmp_path / "split.json")
    saved = json.loads((tmp_path / "split.json").read_text())
    assert saved["protocol"] == split.protocol.as_dict()
    assert all(saved["protocol"][field] for field in ("source", "surfaces", "scale"))
    assert saved["num_test"] == len(saved["test"]) == len(split.test)


def test_a_saved_split_read_from_its_file_is_the_same_split(tmp_path):
    split = PaperSplit()(KEYS)
    split.save(tmp_path / "split.json")
    again = SplitFromFile(str(tmp_path / "split.json"))(list(reversed(KEYS)))
    assert (again.train, again.val, again.sha256) == (split.train, split.val, split.sha256)


def test_a_split_of_subjects_from_a_file_with_a_test_set(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"train": ["s01", "s02_b10"], "val": ["s03"], "test": ["s04_b15_g2"]}))
    split = SplitFromFile(str(path), Protocol("our own"))(KEYS)
    assert (len(split.train), len(split.val), split.test) == (24, 22, (ScanKey(2, "s04", 15),))
    assert split.protocol == Protocol("our own")


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (SubjectSets("mine", [1, 2], [2, 3]), "split=mine: s02 would train and be scored"),
        (SubjectSets("mine", [1], [3], [1]), "split=mine: s01 would train and be scored"),
        (SubjectSets("mine", [1], [12]), "split=mine: no subject s12; the data has s01"),
        (SubjectSets("mine", [], [3]), "split=mine: no scan is left for train"),
        (SpreadOverSubjects(val_fraction=0), "split.val_fraction: 0, expected a number between 0 and 1"),
        (SplitFromFile("nowhere.json"), "nowhere.json: no such file"),
    ],
)
def test_refuses_what_makes_no_split(splitter, message):
    with pytest.raises(InputError, match=message):
        splitter(KEYS)
