from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retseg.data.readers.names import natural_key, safe_name, safe_part, unique_names


def test_numbers_in_names_count_by_their_value():
    names = ["b10", "b2", "B3", "b02", "a", "10", "9", "b2c", "é1"]
    assert sorted(names, key=natural_key) == ["9", "10", "a", "b02", "b2", "b2c", "B3", "b10", "é1"]


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("scan 1=a é 眼", "scan 1=a é 眼"),
        ("..", "__"),
        (".hidden", "_hidden"),
        ("a:b\\c/d*e?", "a_b_c_d_e_"),
        ("line\nbreak\x00\x7f", "line_break__"),
        ("turned\u202egnp", "turned_gnp"),
        ("bytes\udcff", "bytes_"),
        ("CON", "CON_"),
        ("nul.txt", "nul.txt_"),
        ("ends.", "ends_"),
        ("  ", "scan"),
        ("e\u0301", "é"),
    ],
)
def test_safe_parts(text, safe):
    assert safe_part(text) == safe


@given(st.text(max_size=300))
def test_any_text_becomes_a_part_below_a_folder_on_every_system(text):
    part = safe_part(text)
    assert part
    assert len(part.encode()) <= 181
    assert safe_part(part) == part
    for flavour in (PurePosixPath, PureWindowsPath):
        path = flavour(part)
        assert path.parts == (part,)
        assert not path.is_absolute()
        assert part not in (".", "..")
    assert not PureWindowsPath(part).is_reserved()


def test_parts_are_parted_by_a_slash():
    assert safe_name(["a", "..", "b/c"]) == "a/__/b_c"


def test_of_one_stem_each_gets_its_ending_then_a_number():
    wanted = [("scan", "png"), ("scan", "tif"), ("other", "png"), ("x", "png"), ("X", "png"), ("x", "png")]
    assert unique_names(wanted) == ["scan_png", "scan_tif", "other", "x", "X_2", "x_3"]
    assert unique_names([("a", "png"), ("a_2", "png"), ("a", "png")]) == ["a", "a_2", "a_3"]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "A", "a_2", "a_png", "a_png_2", "b"]), st.sampled_from(["png", "", "tif"]))
    )
)
def test_names_never_meet(wanted):
    names = unique_names(wanted)
    assert len({name.casefold() for name in names}) == len(wanted)
