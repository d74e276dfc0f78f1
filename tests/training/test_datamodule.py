from dataclasses import replace

import pytest
import torch

from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import Split, SubjectHoldout
from retseg.errors import InputError
from retseg.training.datamodule import OctDataModule


def data(**settings):
    source = PhantomSource(num_subjects=3, bscans_per_subject=3, height=64, width=96)
    return OctDataModule(source, SubjectHoldout([2]), **({"batch_size": 2, "size": (32, 32)} | settings))


def names(loader):
    return [batch["name"] for batch in loader]


def test_batches_have_the_promised_shapes_and_types():
    batch = next(iter(data().train_dataloader()))
    assert batch["image"].shape == (2, 1, 32, 32)
    assert batch["mask"].shape == (2, 32, 32)
    assert (batch["image"].dtype, batch["mask"].dtype) == (torch.float32, torch.int64)
    assert batch["spacing_um"].shape == (2, 2)
    assert [name[:3] for name in batch["name"]] == batch["subject"]


def test_order_is_drawn_from_seed_and_epoch_alone():
    def order(seed, epoch, **settings):
        loader = data(seed=seed, **settings).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return names(loader)

    assert order(0, 1) == order(0, 1) == order(0, 1, num_workers=1)
    assert order(0, 1) != order(0, 2)
    assert order(0, 1) != order(1, 1)


def test_a_loader_goes_on_where_its_state_says():
    whole = names(data().train_dataloader())
    first, second = data().train_dataloader(), data().train_dataloader()
    batches = iter(first)
    next(batches)
    second.load_state_dict(first.state_dict())
    assert names(second) == whole[1:]
    assert second.state_dict() == {"done": 0}
    assert names(second) == whole, "only the first epoch after loading is a part"


def test_every_scan_comes_once_an_epoch_and_validation_in_its_order():
    module = data()
    trained = [name for batch in names(module.train_dataloader()) for name in batch]
    validated = [name for batch in names(module.val_dataloader()) for name in batch]
    assert sorted(trained) == [key.name for key in module.split.train]
    assert validated == [key.name for key in module.split.val]


@pytest.mark.parametrize("cache", [True, False])
def test_read_all_shows_each_scan_once_as_its_source_gives_it(cache):
    module, seen = data(cache=cache), []
    module.read_all(seen.append)
    assert sorted(scan.key for scan in seen) == list(module.source.keys)
    assert module.num_scans == 9
    assert {scan.shape for scan in seen} == {(64, 96)}


def test_read_all_shows_scans_kept_for_a_test_that_no_batch_holds():
    def split(keys):
        return Split("made up", keys[:4], keys[4:6], test=keys[6:])

    module, seen = OctDataModule(data().source, split, size=(32, 32)), []
    module.read_all(seen.append)
    assert [scan.key for scan in seen] == list(module.source.keys)
    assert len(module.train_dataset) + len(module.val_dataset) == 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, r"data.batch_size: 0, expected 1 or more"),
        ({"num_workers": -1}, r"data.num_workers: -1"),
        ({"size": (0, 32)}, r"data.size: \[0, 32\]"),
    ],
)
def test_refuses_wrong_numbers(settings, message):
    with pytest.raises(InputError, match=message):
        data(**settings)


def test_batches_hold_the_targets_that_are_asked_for():
    plain = next(iter(data().train_dataloader()))
    full = next(iter(data(targets=["fluid", "surface_rows"]).train_dataloader()))
    assert set(full) - set(plain) == {"fluid", "surface_rows"}
    assert full["surface_rows"].shape == (2, 8, 32)
    assert full["fluid"].shape == (2, 32, 32)


def test_refuses_targets_that_nobody_knows():
    with pytest.raises(InputError, match=r"data\.targets: 'drusen' is none of surface_rows, fluid"):
        data(targets=["drusen"])


class WithoutFluid:
    """The phantom as a source that says nothing of fluid."""

    label_origin, notices, name = "exact", (), "made up"

    def __init__(self):
        self.source = data().source
        self.keys = self.source.keys

    def read(self, key):
        return replace(self.source.read(key), fluid=None)


def test_refuses_to_learn_fluid_from_scans_in_which_nobody_looked_for_it():
    module = OctDataModule(WithoutFluid(), SubjectHoldout([2]), size=(32, 32), targets=["fluid"])
    with pytest.raises(InputError, match=r"data\.targets: made up says of no scan that trains where fluid is"):
        module.read_all()
    OctDataModule(WithoutFluid(), SubjectHoldout([2]), size=(32, 32), targets=["surface_rows"]).read_all()
