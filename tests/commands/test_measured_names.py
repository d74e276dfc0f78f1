"""Which files form a volume: by retseg's names, and by a pattern."""

from pathlib import Path

import pytest

from retseg.commands.measured_names import named_volumes, read_pattern
from retseg.errors import InputError

ROOT = Path("labels")


def volumes(*names, pattern=None):
    """{volume: {B-scan: scan}} of files below ROOT."""
    found = named_volumes([ROOT / name for name in names], ROOT, None if pattern is None else read_pattern(pattern))
    return {volume.name: {file.bscan: file.scan for file in volume.files} for volume in found}


def test_names_of_retseg_say_volume_and_bscan():
    assert volumes("s03_b10_g1.png", "s03_b02_g1.png", "s03_b10_g2.png", "eye/Subject_01_b010_mask.png") == {
        "eye/Subject_01": {10: "Subject_01_b010"},
        "s03_g1": {2: "s03_b02_g1", 10: "s03_b10_g1"},
        "s03_g2": {10: "s03_b10_g2"},
    }
    assert volumes("x/s03_g1/s03_b10_g1_surfaces.csv") == {"x/s03_g1": {10: "s03_b10_g1"}}


def test_other_names_are_files_by_themselves():
    assert volumes("a.png", "a.nii.gz", "x/b2_mask.png") == {
        "a_nii.gz": {None: "a_nii.gz"}, "a_png": {None: "a_png"}, "x/b2": {None: "b2"},
    }  # fmt: skip


def test_a_pattern_sees_folders_too():
    found = volumes("anna/12.png", "anna/007.png", "bert/1.png", pattern="(?P<volume>.+)/(?P<bscan>[0-9]+)")
    assert found == {"anna": {7: "007", 12: "12"}, "bert": {1: "1"}}


def test_a_pattern_may_know_the_eye():
    paths = [ROOT / name for name in ("anna-L-1.png", "anna-r-1.png", "anna--1.png")]
    pattern = read_pattern("(?P<volume>[a-z]+)-(?P<eye>[LRr]?)-(?P<bscan>[0-9])")
    assert [(volume.name, volume.eye) for volume in named_volumes(paths, ROOT, pattern)] == [
        ("anna", None), ("anna_OD", "OD"), ("anna_OS", "OS"),
    ]  # fmt: skip


def test_scans_of_other_folders_that_are_called_alike_are_called_after_their_bscan():
    found = volumes("1/anna.png", "2/anna.png", pattern="(?P<bscan>[0-9]+)/(?P<volume>.+)")
    assert found == {"anna": {1: "anna_b001", 2: "anna_b002"}}


@pytest.mark.parametrize(
    ("names", "pattern", "message"),
    [
        (("s1_b2.png", "s1_b02_mask.tif"), None, r"s1_b02_mask\.tif: B-scan 2 of s1, as .*s1_b2\.png is; keep one"),
        (("a.png",), "(", r"--volumes-by \(: no regular expression"),
        (("a.png",), "(?P<volume>.)", "no group named bscan; e.g. "),
        (("a.png", "c"), "(?P<volume>b)(?P<bscan>.)", r"\(\?P<volume>b\)\(\?P<bscan>\.\) is not in a; change it"),
        (("ab1.png",), "(?P<volume>a)(?P<eye>.)(?P<bscan>.)", "finds eye 'b' in ab1; expected one of od, r, right, os"),
        (("abc.png",), "(?P<volume>a)(?P<bscan>.)", "finds volume 'a', B-scan 'b' in abc; expected a name and a whole"),
    ],
)
def test_names_that_say_nothing_clear_are_refused(names, pattern, message):
    with pytest.raises(InputError, match=message):
        volumes(*names, pattern=pattern)
