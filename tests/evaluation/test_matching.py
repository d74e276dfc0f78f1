import re

import numpy as np
import pytest

from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.evaluation.labelling import Labelling
from retseg.evaluation.matching import (
    Measuring,
    pair_files,
    paired_case,
    read_spacing,
    read_subjects,
)
from tests.evaluation.drawn import ONE_DEEPER, TRUTH


def paired_cases(pairing, measuring):
    return [paired_case(pairing, measuring, name) for name in pairing.names]


@pytest.fixture
def folders(tmp_path):
    found, true = tmp_path / "found", tmp_path / "true"
    for folder, mask in ((found, ONE_DEEPER), (true, TRUTH)):
        folder.mkdir()
        for name in ("s01_b00_g1", "s02_b03"):
            np.save(folder / f"{name}.npy", mask)
    np.save(found / "extra.npy", TRUTH)
    np.save(true / "s09_b00.npy", TRUTH)
    return found, true


def test_files_match_by_stem_and_those_left_over_are_listed(folders):
    pairing = pair_files(*folders)
    assert pairing.names == ("s01_b00_g1", "s02_b03")
    assert "1 of 3 files without truth, not scored: extra" in pairing.unmatched[0]
    assert "1 of 3 files without prediction, not scored: s09_b00" in pairing.unmatched[1]
    cases = paired_cases(pairing, Measuring())
    assert [case.subject for case in cases] == ["s01", "s02"], "retseg's own names say whose scan it is"
    assert (cases[0].prediction.mask == ONE_DEEPER).all()
    assert cases[0].spacing == Spacing()


def test_single_files_are_a_pair_whatever_their_names(tmp_path):
    np.save(tmp_path / "mine.npy", ONE_DEEPER)
    np.savetxt(tmp_path / "expert.csv", Labelling.from_mask(TRUTH).surface_rows.T, delimiter=",")
    (found,) = paired_cases(pair_files(tmp_path / "mine.npy", tmp_path / "expert.csv"), Measuring())
    assert (found.truth.mask == TRUTH).all(), "surfaces are painted on the mask's grid"
    assert found.subject == "unknown"


def test_surfaces_alone_need_no_mask(tmp_path):
    rows = Labelling.from_mask(TRUTH).surface_rows
    np.save(tmp_path / "a.npy", rows + np.float32(0.5))
    np.save(tmp_path / "b.npy", rows)
    (found,) = paired_cases(pair_files(tmp_path / "a.npy", tmp_path / "b.npy"), Measuring())
    assert found.prediction.surface_rows[0, 0] - found.truth.surface_rows[0, 0] == 0.5


def test_what_the_user_says_goes_first(folders):
    measuring = Measuring(Spacing(4.0, 11.0, "user"), subject_pattern=re.compile(r"^(s\d)"))
    cases = paired_cases(pair_files(*folders), measuring)
    assert [case.subject for case in cases] == ["s0", "s0"]
    assert cases[0].spacing.axial_um == 4


def test_sizes_that_differ_are_refused_in_one_line(folders):
    np.save(folders[0] / "s02_b03.npy", TRUTH[:-1])
    with pytest.raises(
        InputError, match=r"found/s02_b03.npy: 6 x 5 \(rows x columns\), but .*true/s02_b03.npy is 7 x 5"
    ):
        paired_cases(pair_files(*folders), Measuring())


def test_nothing_in_common_is_refused(folders):
    for path in (*folders[0].glob("s*"), *folders[1].glob("s0[12]*")):
        path.unlink()
    with pytest.raises(InputError, match=r"no file has the stem of one in .* \(first extra and s09_b00\)"):
        pair_files(*folders)


def test_rules_for_subjects_must_cover_all_scans(folders):
    pairing = pair_files(*folders)
    with pytest.raises(InputError, match="--subjects: no row for scan s01_b00_g1"):
        paired_cases(pairing, Measuring(subjects={"s02_b03": "x"}))
    with pytest.raises(InputError, match="--subject-pattern: eye is not in s01_b00_g1"):
        paired_cases(pairing, Measuring(subject_pattern=re.compile("eye")))


def test_tables_of_subjects(tmp_path):
    (tmp_path / "ok.csv").write_text("scan,subject,eye\na,1,OD\nb,1,OS\n")
    assert read_subjects(tmp_path / "ok.csv") == {"a": "1", "b": "1"}
    (tmp_path / "bad.csv").write_text("name,who\na,1\n")
    with pytest.raises(InputError, match=r"bad.csv: found name, who, expected a table with the columns scan, subject"):
        read_subjects(tmp_path / "bad.csv")
    with pytest.raises(InputError, match=r"none.csv: cannot be read"):
        read_subjects(tmp_path / "none.csv")


def test_pixel_sizes():
    assert read_spacing("3.87,11.33") == Spacing(3.87, 11.33, "user")
    assert read_spacing("3.87") == Spacing(3.87, None, "user")
    for text in ("3.87 x 11", "0,1", "nan", "1,2,3", ""):
        with pytest.raises(InputError, match=r"--spacing .*expected AXIAL,LATERAL in um"):
            read_spacing(text)
