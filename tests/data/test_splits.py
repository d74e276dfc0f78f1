import json

import pytest
from sklearn.model_selection import train_test_split

from retseg.bscan import ScanKey
from retseg.data.splits import FewShot, LeaveOneSubjectOut, PaperSplit, Protocol, SubjectHoldout, SubjectKFold
from retseg.errors import InputError

BSCANS = (10, 15, 20, 25, 28, 30, 32, 35, 40, 45, 50)
KEYS = [ScanKey(g, f"s{s:02d}", b) for g in (1, 2) for s in range(1, 11) for b in BSCANS]


def test_paper_split_is_the_176_and_44_of_scikit_learn_in_order():
    split = PaperSplit()(list(reversed(KEYS)))
    train, val = train_test_split(list(range(220)), test_size=0.2, random_state=42)
    assert split.train == tuple(KEYS[i] for i in train)
    assert split.val == tuple(KEYS[i] for i in val)


def test_paper_split_leaks_38_of_44_scans_and_every_subject():
    split = PaperSplit()(KEYS)
    assert (len(split.train), len(split.val), len(split.shared_scans), len(split.shared_subjects)) == (176, 44, 38, 10)
    assert split.stamp == (
        "leaky split: 38 of 44 validation B-scans are also in training, 10 subjects are on both sides"
    )
    # the other 6 are 3 B-scans, each there with both graders
    apart = [key.scan_name for key in split.val if key not in split.shared_scans]
    assert len(apart) == 6
    assert len(set(apart)) == 3


def test_holdout_keeps_subjects_apart():
    split = SubjectHoldout([3, "s04", 9])(KEYS)
    assert {key.subject for key in split.val} == {"s03", "s04", "s09"}
    assert len(split.val) == 66
    assert split.shared_subjects == split.shared_scans == ()
    assert split.stamp == "subjects apart (3 held out)"


def test_kfold_holds_each_subject_out_once():
    folds = [SubjectKFold(num_folds=3, fold=fold, seed=1)(KEYS) for fold in range(3)]
    held_out = [subject for split in folds for subject in sorted({key.subject for key in split.val})]
    assert sorted(held_out) == sorted({key.subject for key in KEYS})
    assert not any(split.shared_subjects for split in folds)


def test_repeated_kfold_deals_anew_and_holds_each_subject_out_once_a_deal():
    folds = [SubjectKFold(num_folds=2, fold=fold, repeats=2)(KEYS) for fold in range(4)]
    held_out = [{key.subject for key in split.val} for split in folds]
    for deal in (held_out[:2], held_out[2:]):
        assert deal[0] | deal[1] == {key.subject for key in KEYS}
        assert not deal[0] & deal[1]
    assert held_out[0] not in held_out[2:]
    assert SubjectKFold(num_folds=2, fold=1)(KEYS).val == folds[1].val


def test_leave_one_subject_out():
    split = LeaveOneSubjectOut(3)(KEYS)
    assert ({key.subject for key in split.val}, len(split.val), len(split.train)) == ({"s03"}, 22, 198)


def test_hash_is_of_the_members_whatever_their_order(tmp_path):
    split, again = SubjectHoldout([1])(KEYS), SubjectHoldout([1])(list(reversed(KEYS)))
    other = SubjectHoldout([2])(KEYS)
    assert split.sha256 == again.sha256 != other.sha256
    split.save(tmp_path / "split.json")
    saved = json.loads((tmp_path / "split.json").read_text())
    assert saved["sha256"] == split.sha256
    assert saved["val"] == [key.name for key in split.val]
    assert saved["stamp"] == split.stamp


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (SubjectHoldout([11]), "no subject s11; the data has s01, s02"),
        (SubjectHoldout([]), "no scan is left for val"),
        (SubjectHoldout(list(range(1, 11))), "no scan is left for train"),
        (SubjectKFold(num_folds=11), r"split.num_folds: 11, expected 2 to 10"),
        (SubjectKFold(num_folds=5, fold=5), r"split.fold: 5, expected 0 to 4"),
        (SubjectKFold(num_folds=5, fold=10, repeats=2), r"split.fold: 10, expected 0 to 9"),
        (LeaveOneSubjectOut("s99"), "no subject s99"),
        (PaperSplit(val_fraction=1.5), r"split.val_fraction: 1.5"),
    ],
)
def test_refuses_what_makes_no_split(splitter, message):
    with pytest.raises(InputError, match=message):
        splitter(KEYS)


@pytest.mark.parametrize("columns", [(5, 5), (-1, 4), (1, 2, 3)])
def test_a_protocol_refuses_columns_that_are_no_range(columns):
    with pytest.raises(InputError, match=r"split\.protocol\.columns"):
        Protocol("nobody", columns)


def test_few_shot_draws_scans_of_as_many_subjects_as_there_are():
    keys = [ScanKey(grader, f"s{s:02d}", b) for grader in (1, 2) for s in range(1, 7) for b in range(4)]
    split = FewShot(num_scans=5, subjects=[2, 5], seed=3)(keys)
    assert {key.subject for key in split.val} == {"s02", "s05"}
    assert len(split.val) == 16
    names = {key.scan_name for key in split.train}
    assert (len(names), len(split.train)) == (5, 10)
    assert {key.subject for key in split.train} == {"s01", "s03", "s04", "s06"}
    assert FewShot(num_scans=5, subjects=[2, 5], seed=3)(list(reversed(keys))).train == split.train
    assert FewShot(num_scans=5, subjects=[2, 5], seed=4)(keys).train != split.train
    more = FewShot(num_scans=7, subjects=[2, 5], seed=3)(keys)
    assert set(split.train) < set(more.train)


@pytest.mark.parametrize("num_scans", [0, 17])
def test_few_shot_refuses_more_scans_than_there_are(num_scans):
    keys = [ScanKey(1, f"s{s:02d}", b) for s in range(1, 7) for b in range(4)]
    with pytest.raises(InputError, match=r"split\.num_scans: .*expected 1 to 16"):
        FewShot(num_scans=num_scans, subjects=[2, 5])(keys)
