import zipfile

import numpy as np
import pytest
import torch

from retseg.anatomy import IGNORE
from retseg.bscan import Spacing
from retseg.errors import InputError
from retseg.evaluation.fluid_record import FluidCase
from retseg.evaluation.record import measure_scan
from retseg.evaluation.store import load_case, load_network, read_npz, save_network, saving_cases, write_npz
from tests.evaluation.drawn import ONE_DEEPER, TRUTH, case
from tests.evaluation.test_network_scores import network


@pytest.fixture
def saved(tmp_path):
    image = np.arange(35, dtype=np.uint8).reshape(7, 5)
    logits = torch.randn(8, 7, 5, generator=torch.Generator().manual_seed(0))
    first = case(ONE_DEEPER, TRUTH, ONE_DEEPER, name="a", subject="x=1 ü", image=image, network=network(logits))
    second = case(name="b", spacing=Spacing(None, 11.0, "user"))
    with saving_cases(tmp_path, "silver") as writer:
        writer.add(first)
        writer.add(second)
    save_network(tmp_path / "network.npz", [measure_scan(first)])
    return tmp_path, first, second


def test_what_is_read_back_is_what_was_saved(saved):
    folder, first, second = saved
    network_sums = load_network(folder / "network.npz")
    a, b = (load_case(folder, name, network_sums.get(name)) for name in "ab")
    for found, expected in ((a, first), (b, second)):
        assert (found.name, found.subject, found.spacing) == (expected.name, expected.subject, expected.spacing)
        assert (found.prediction.mask == expected.prediction.mask).all()
        assert (found.truth.surface_rows == expected.truth.surface_rows).all()
    assert (a.second.mask == first.second.mask).all()
    assert (a.image == first.image).all()
    assert b.second is None
    assert b.network is None
    assert a.network.true_probability == first.network.true_probability
    assert torch.equal(a.network.confusion, first.network.confusion)
    assert torch.equal(a.network.calibration.nll, first.network.calibration.nll)
    assert torch.equal(a.network.calibration.hits, first.network.calibration.hits)


def fluid_case(second):
    drawn = np.where(TRUTH == 7, 1, 0).astype(np.int8)
    drawn[:, 0] = IGNORE
    return case(
        name="c", second=second, fluid=FluidCase(ONE_DEEPER == 7, drawn, drawn if second is not None else None, 5)
    )


@pytest.mark.parametrize("second", [None, ONE_DEEPER])
def test_fluid_is_read_back_as_it_was_saved(tmp_path, second):
    expected = fluid_case(second)
    with saving_cases(tmp_path, "silver") as writer:
        writer.add(expected)
    found = load_case(tmp_path, "c").fluid
    assert np.array_equal(found.found, expected.fluid.found)
    assert found.found.dtype == bool
    assert np.array_equal(found.truth, expected.fluid.truth)
    assert found.num_outside == 5
    assert (found.second is None) == (second is None)
    assert second is None or np.array_equal(found.second, expected.fluid.second)


def test_a_scan_without_fluid_is_saved_without_any(saved):
    folder, _, _ = saved
    assert load_case(folder, "a").fluid is None
    for kind in ("predictions", "truth", "second"):
        assert not [name for name in read_npz(folder / kind / "a.npz") if "fluid" in name]


@pytest.mark.parametrize("broken", ["lost", "another shape", "another type"])
def test_files_whose_fluid_does_not_agree_are_refused(tmp_path, broken):
    with saving_cases(tmp_path, "silver") as writer:
        writer.add(fluid_case(None))
    path = tmp_path / "predictions" / "c.npz"
    arrays = read_npz(path)
    if broken == "lost":
        del arrays["fluid"]
    else:
        arrays["fluid"] = arrays["fluid"][1:] if broken == "another shape" else arrays["fluid"].astype(np.float64)
    write_npz(path, arrays)
    with pytest.raises(InputError, match=r"c.npz: its fluid is not what `retseg evaluate` saves; .* --fresh"):
        load_case(tmp_path, "c")


def test_folders_take_their_names_only_when_all_is_well(saved):
    folder, _, _ = saved

    def interrupted():
        with saving_cases(folder, "manual") as writer:
            writer.add(case(name="c"))
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        interrupted()
    assert sorted(path.name for path in (folder / "truth").iterdir()) == ["a.npz", "b.npz"]
    assert sorted(path.name for path in folder.iterdir()) == ["network.npz", "predictions", "second", "truth"]


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 and no more"])
def test_damaged_files_are_named(saved, content):
    folder, _, _ = saved
    (folder / "truth" / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"truth/a.npz: not a whole .npz file"):
        load_case(folder, "a")


def test_missing_truth_is_named(saved):
    folder, _, _ = saved
    (folder / "truth" / "b.npz").unlink()
    with pytest.raises(InputError, match=r"truth/b.npz: no such file"):
        load_case(folder, "b")


def test_pickles_and_bombs_are_refused(tmp_path):
    np.savez(tmp_path / "pickled.npz", mask=np.array([{}], dtype=object))
    with pytest.raises(InputError, match=r"pickled.npz: no plain arrays"):
        read_npz(tmp_path / "pickled.npz")
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("mask.npy", "w", force_zip64=True) as member,
    ):
        for _ in range(1025):
            member.write(bytes(2**20))
    with pytest.raises(InputError, match=r"bomb.npz: declares 1,074,790,400 bytes"):
        read_npz(tmp_path / "bomb.npz")


def test_no_network_no_file(tmp_path):
    save_network(tmp_path / "network.npz", [measure_scan(case())])
    assert not (tmp_path / "network.npz").exists()
    assert load_network(tmp_path / "network.npz") == {}
