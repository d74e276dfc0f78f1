"""Checkpoints that are damaged, of others, newer, or made to harm: one line each, and nothing of them is run."""

import functools
import hashlib
import io
import os
import random
import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

import retseg
from retseg.build import build_net, load_net
from retseg.commands.config_folder import compose_config
from retseg.commands.start_weights import load_start
from retseg.errors import InputError
from retseg.training.checkpoint_file import (
    TO_GO_ON,
    check_whole,
    read_checkpoint,
    save_atomically,
)
from retseg.training.checkpoint_io import AtomicCheckpointIO

WHOLE = {"state_dict": {"net.w": torch.arange(700.0)}, "epoch": 3}
DAMAGED = r"damaged, |damaged \(|cut off, or damaged at its end; |no checkpoint of retseg \(it is no zip archive\)"


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "best.ckpt"
    save_atomically(WHOLE, path)
    return path


@pytest.fixture(scope="module")
def made_run(tmp_path_factory):
    """A run folder with a checkpoint of its network's first weights."""
    folder = tmp_path_factory.mktemp("made") / "run"
    (folder / "checkpoints").mkdir(parents=True)
    config = compose_config(["experiment=phantom", "model.width=2", f"paths.run_dir={folder}"])
    OmegaConf.save(config, folder / "config.yaml", resolve=True)
    state = {f"net.{name}": value for name, value in build_net(config).state_dict().items()}
    nothing = {key: [] for key in TO_GO_ON}
    save_atomically(nothing | {"state_dict": state, "epoch": 0}, folder / "checkpoints" / "best.ckpt")
    return folder


@pytest.fixture
def run(made_run, tmp_path):
    return Path(shutil.copytree(made_run, tmp_path / "run"))


def unsealed(content):
    """A checkpoint as retseg wrote it before there was a seal: torch's own file."""
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def sealed(archive, words=f"retseg {retseg.__version__} format 1 sha256 "):
    """The seal as the docstring of checkpoint_file says it, made by other means."""
    digest = hashlib.sha256(archive + words.encode()).hexdigest()
    comment = (words + digest).encode()
    return archive[:-2] + len(comment).to_bytes(2, "little") + comment


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


def packed(content, *, declared=None, how=zipfile.ZIP_STORED):
    """The same records in an archive by Python, whose directory declares another size of the tensor."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(unsealed(content))) as old, zipfile.ZipFile(file, "w", how) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
            if declared and entry.filename.endswith("data/0"):
                new.filelist[-1].file_size = new.filelist[-1].compress_size = declared
    return file.getvalue()


def test_torch_and_zip_read_a_sealed_checkpoint_as_before(checkpoint):
    assert torch.load(checkpoint, weights_only=True)["epoch"] == 3
    with zipfile.ZipFile(checkpoint) as archive:
        assert archive.testzip() is None
        assert re.fullmatch(rb"retseg \S+ format 1 sha256 [0-9a-f]{64}", archive.comment)
    assert checkpoint.read_bytes() == sealed(unsealed(WHOLE))
    assert torch.equal(read_checkpoint(checkpoint)["state_dict"]["net.w"], torch.arange(700.0))


def test_one_flipped_bit_anywhere_is_noticed(checkpoint):
    """All bytes of headers, directory and seal, and some hundreds of the rest."""
    content = checkpoint.read_bytes()
    with zipfile.ZipFile(checkpoint) as archive:
        headers = {entry.header_offset + byte for entry in archive.infolist() for byte in range(40)}
        directory = range(archive.start_dir, len(content))
    draw = random.Random(1)
    positions = sorted({*headers, *directory, *draw.sample(range(len(content)), 300)})
    assert len(positions) > 1000
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << draw.randrange(8)
        checkpoint.write_bytes(damaged)
        with pytest.raises(InputError, match=DAMAGED):
            check_whole(checkpoint)


def test_a_byte_less_or_more_is_noticed(checkpoint):
    content = checkpoint.read_bytes()
    cuts = [*range(1, 200), *range(200, len(content), 97), *range(len(content) - 200, len(content))]
    for wrong in (*(content[:cut] for cut in cuts), content + b"\0", content + content):
        checkpoint.write_bytes(wrong)
        with pytest.raises(InputError, match=DAMAGED):
            check_whole(checkpoint)


def test_a_checkpoint_of_before_the_seal_is_read_and_its_tensors_are_checked(tmp_path):
    path, content = tmp_path / "old.ckpt", unsealed(WHOLE)
    path.write_bytes(content)
    assert read_checkpoint(path)["epoch"] == 3
    flipped = bytearray(content)
    flipped[content.index(torch.arange(700.0).numpy().tobytes()) + 1000] ^= 1
    path.write_bytes(flipped)
    assert torch.load(path, weights_only=True)["epoch"] == 3  # torch itself says nothing
    with pytest.raises(InputError, match=r"damaged, \S+/data/0 fails its CRC; take it from a copy, or train again"):
        read_checkpoint(path)


FAULTS = {
    "missing": (lambda path: None, r"no such checkpoint; train the run first, or name another one"),
    "empty": (lambda path: path.touch(), r"is empty \(0 bytes\); take it from a copy"),
    "text": (lambda path: path.write_text("hello\n" * 99), r"no checkpoint of retseg \(it is no zip archive\)"),
    "truncated": (lambda path: path.write_bytes(unsealed(WHOLE)[:-9]), r"cut off, or damaged at its end"),
    "folder": (lambda path: path.mkdir(), r"is a folder, no checkpoint; name a \.ckpt file"),
    "pipe": (os.mkfifo, r"is no ordinary file"),
    "link to nothing": (lambda path: path.symlink_to("gone"), r"no such checkpoint"),
    "other seal": (
        lambda path: path.write_bytes(sealed(unsealed(WHOLE), "hello ")),
        r"damaged, its seal cannot be read",
    ),
    "newer": (
        lambda path: path.write_bytes(sealed(unsealed(WHOLE), "retseg 99.1.0 format 2 sha256 ")),
        rf"made by retseg 99\.1\.0 \(checkpoint format 2\), this is {re.escape(retseg.__version__)}, which reads "
        "format 1; update retseg",
    ),
    "old pickle": (
        lambda path: torch.save(WHOLE, path, _use_new_zipfile_serialization=False),
        r"no checkpoint of retseg \(it is no zip archive\)",
    ),
    "a list": (lambda path: path.write_bytes(sealed(unsealed([1]))), r"holds a list, not a checkpoint of retseg"),
    "no weights": (lambda path: path.write_bytes(unsealed({"epoch": 1})), r"holds no state_dict"),
    "no tensors": (
        lambda path: path.write_bytes(unsealed(dict.fromkeys(TO_GO_ON, 1))),
        r"its state_dict is no table of tensors",
    ),
    "code": (
        lambda path: path.write_bytes(sealed(unsealed({"state_dict": Harm(path.with_name("harmed"))}))),
        r"holds more than numbers \((posix|nt)\.mkdir\); retseg runs no code of a checkpoint, take one that it wrote",
    ),
    "zip of photographs": (
        lambda path: zipfile.ZipFile(path, "w").writestr("a.png", b"x"),
        r"cut off, or damaged|cannot be read as a checkpoint \(",
    ),
    "petabytes": (
        lambda path: path.write_bytes(sealed(packed(WHOLE, declared=2**51))),
        r"declares 2,251,799,813,685,\d{3} bytes in a file of \d,\d{3}; damaged or made to harm",
    ),
    "petabytes, no seal": (
        lambda path: path.write_bytes(packed(WHOLE, declared=2**51)),
        r"declares 2,251,799,813,685,\d{3} bytes in a file of",
    ),
    "bomb": (
        lambda path: path.write_bytes(sealed(packed({"state_dict": torch.zeros(10**6)}, how=zipfile.ZIP_DEFLATED))),
        r"data\.pkl is packed; retseg's checkpoints are not",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_reader_refuses_in_the_same_words(run, fault):
    """A run's network, start=RUN, and the Trainer."""
    path = run / "checkpoints" / "best.ckpt"
    path.unlink()
    damage, message = FAULTS[fault]
    damage(path)
    readers = (
        functools.partial(load_net, run),
        functools.partial(load_start, torch.nn.Identity(), run),
        functools.partial(AtomicCheckpointIO().load_checkpoint, path, weights_only=False),
    )
    for read in readers:
        with pytest.raises(InputError, match=message) as caught:
            read()
        assert str(caught.value).startswith(str(path))
    assert not path.with_name("harmed").exists()


@pytest.mark.parametrize("fault", ["petabytes", "petabytes, no seal", "bomb"])
def test_what_declares_too_much_is_refused_before_torch_sees_it(tmp_path, monkeypatch, fault):
    FAULTS[fault][0](tmp_path / "a.ckpt")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("torch.load was called"))
    with pytest.raises(InputError):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_file_that_may_not_be_read_and_a_disk_that_fails(checkpoint, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")  # root reads whatever its mode says

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(InputError, match=r"best\.ckpt: cannot be read \(Permission denied\); see its permissions"):
        read_checkpoint(checkpoint)


def test_weights_of_another_network_are_told_by_names_and_shapes(run):
    config = OmegaConf.load(run / "config.yaml")
    config.model.width = 3
    OmegaConf.save(config, run / "config.yaml")
    shapes = r"encoder1\.conv1\.weight: expected \(3, 1, 3, 3\), found \(2, 1, 3, 3\); "
    with pytest.raises(
        InputError, match=rf"of another network than .*config\.yaml, \d+ of \d+ tensors differ, {shapes}"
    ):
        load_net(run)
