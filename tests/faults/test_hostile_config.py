"""Configurations of strangers: nothing that they name is imported or called unless it is a class that retseg builds."""

import sys
import textwrap

import hydra.utils
import pytest
from omegaconf import OmegaConf

from retseg.build import build_source, load_net, make
from retseg.commands.config_folder import CONF, compose_config
from retseg.errors import InputError
from retseg.stored_config import MAX_BYTES, load_config
from retseg.targets import VARIABLE, check_targets

NONE_OF_THESE = r"is none of the classes that retseg builds \(retseg\.data, .*\); nothing was run\. Name one of these"


@pytest.fixture(autouse=True)
def no_package_of_ones_own(monkeypatch):
    monkeypatch.delenv(VARIABLE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The configuration of a run in plain values."""
    folder = tmp_path_factory.mktemp("whole")
    config = compose_config(["experiment=phantom", "model.width=2", f"paths.run_dir={folder}"])
    return OmegaConf.to_container(config, resolve=True)


@pytest.fixture
def run(whole, tmp_path):
    OmegaConf.save(OmegaConf.create(whole), tmp_path / "config.yaml")
    return tmp_path


def targets_in(node):
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "_target_")
        for value in node.values():
            yield from targets_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets_in(value)


def test_all_that_conf_names_is_allowed():
    targets = set()
    for path in sorted(CONF.rglob("*.yaml")):
        node = OmegaConf.to_container(OmegaConf.load(path))
        node.pop("hydra", None)  # callbacks of Hydra itself: composed from conf/ alone, never from a run folder
        targets.update(targets_in(node))
    assert len(targets) > 60
    for target in sorted(targets):
        check_targets({"_target_": target}, "conf")


EVIL = {
    "plain": {"_target_": "os.system", "command": "x"},
    "arguments": {"_target_": "os.system", "_args_": ["x"]},
    "partial": {"_target_": "builtins.eval", "_partial_": True},
    "in arguments": {"_target_": "retseg.models.segnet.SegNet", "_args_": [{"_target_": "os.getcwd"}]},
    "in lists": {"_target_": "retseg.models.segnet.SegNet", "width": [[{"a": {"_target_": "os.getcwd"}}]]},
    "not recursive": {"_target_": "retseg.models.segnet.SegNet", "_recursive_": False, "x": {"_target_": "os.getcwd"}},
    "hub": {"_target_": "torch.hub.load", "repo_or_dir": "a/b", "model": "c"},
    "torch.load": {"_target_": "torch.load", "f": "x"},
    "hydra": {"_target_": "hydra.utils.get_method", "path": "os.system"},
    "hydra's instantiate": {"_target_": "hydra.utils.instantiate", "config": {}},
    "retseg's function": {"_target_": "retseg.build.make", "node": None, "place": "x"},
    "like a package": {"_target_": "retseg.models_of_others.Net"},
    "a package's parent": {"_target_": "retseg"},
    "no text": {"_target_": ["os.system"]},
    "nothing": {"_target_": ""},
    "relative": {"_target_": ".os.system"},
    "upper": {"_target_": "Retseg.models.segnet.SegNet"},
}


@pytest.mark.parametrize("node", EVIL.values(), ids=EVIL)
def test_what_is_not_on_the_list_is_refused_before_anything_is_imported(node, monkeypatch):
    monkeypatch.setattr(hydra.utils, "instantiate", lambda *_, **__: pytest.fail("something was built"))
    monkeypatch.setattr(hydra.utils, "get_object", lambda *_, **__: pytest.fail("something was imported"))
    monkeypatch.setattr("retseg.targets.import_module", lambda *_: pytest.fail("something was imported"))
    with pytest.raises(InputError, match=rf"^model\.\S*_target_=.*: {NONE_OF_THESE}"):
        make(OmegaConf.create(node), "model")


@pytest.mark.parametrize(
    "place", ["model", "data.source", "split", "trainer.plugins", "optimizer", "seed", "more.still"]
)
def test_a_run_folder_is_refused_wherever_in_it_a_target_hides(run, monkeypatch, place):
    monkeypatch.setattr("retseg.targets.import_module", lambda *_: pytest.fail("something was imported"))
    config = OmegaConf.load(run / "config.yaml")
    OmegaConf.update(config, place, EVIL["in arguments"], force_add=True, merge=False)
    OmegaConf.save(config, run / "config.yaml")
    with pytest.raises(InputError, match=rf"config\.yaml: {place}\._args_\[0\]\._target_='os.getcwd': {NONE_OF_THESE}"):
        load_net(run)


@pytest.mark.parametrize(
    "target",
    [
        "retseg.training.checkpoint_file.os.system",
        "retseg.training.checkpoint_file.zipfile.ZipFile",
        "retseg.training.checkpoint_file.save_atomically",
        "retseg.data.splits.Path",
        "retseg.models.segnet.torch.load",
        "retseg.models.segnet.SegNet.load_state_dict",
        "retseg.models.segnet",
        "retseg.models.segnet.InputError",
        "retseg.training.wandb_run.os.system",
        "torch.optim.adam.torch.hub.load",
        "torch.optim.lr_scheduler.warnings.warn",
        "lightning.pytorch.callbacks.model_checkpoint.os.system",
        "lightning.pytorch.callbacks.ModelCheckpoint.__init__.__globals__",
    ],
)
def test_a_way_through_an_allowed_module_into_another_ends_there(target, monkeypatch):
    monkeypatch.setattr(hydra.utils, "instantiate", lambda *_, **__: pytest.fail("something was built"))
    with pytest.raises(InputError, match=r"^loss\._target_=.*: (is no class of that package itself|no such class)"):
        make(OmegaConf.create({"_target_": target}), "loss")


@pytest.mark.parametrize("target", ["retseg.models.later.Net", "retseg.models.segnet.Segnet", "torch.optim.Adem"])
def test_a_class_that_is_not_there_is_one_line(target):
    with pytest.raises(InputError, match=rf"^model\._target_='{target}': no such class; see its spelling"):
        make(OmegaConf.create({"_target_": target}), "model")


def test_a_package_of_ones_own_is_allowed_by_its_name(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        textwrap.dedent("""
        import os
        class Net:
            pass
        def make():
            return "made"
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=rf"allow a package of your own with {VARIABLE}=PACKAGE"):
        make(OmegaConf.create({"_target_": "mine.Net"}), "model")
    assert "mine" not in sys.modules
    monkeypatch.setenv(VARIABLE, "other, mine")
    assert type(make(OmegaConf.create({"_target_": "mine.Net"}), "model")).__name__ == "Net"
    assert make(OmegaConf.create({"_target_": "mine.make"}), "model") == "made"
    with pytest.raises(InputError, match="is no class of that package itself"):
        make(OmegaConf.create({"_target_": "mine.os.getcwd"}), "model")
    with pytest.raises(InputError, match=NONE_OF_THESE):
        make(OmegaConf.create({"_target_": "mines.Net"}), "model")
    del sys.modules["mine"]


def test_a_target_on_the_command_line_is_refused_before_data_are_read(train, capsys, tmp_path):
    for option in ("optimizer._target_=os.system", "+callbacks.x={_target_: os.system, command: touch x}"):
        with pytest.raises(SystemExit) as left:
            train("run", option)
        assert left.value.code == 2
        captured = capsys.readouterr()
        assert "_target_='os.system': is none of the classes" in captured.err
        assert captured.err.count("\n") == 1
        assert "scans" not in captured.out
        assert not (tmp_path / "run" / "config.yaml").exists()


def test_resuming_a_strangers_folder_names_the_target(run, capsys, monkeypatch):
    from retseg.train import main

    (run / "checkpoints").mkdir()
    (run / "checkpoints" / "last.ckpt").touch()
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text + "hydra:\n  callbacks:\n    x:\n      _target_: os.system\n")
    monkeypatch.setattr(sys, "argv", ["retseg.train", f"resume={run}"])
    with pytest.raises(SystemExit):
        main()
    assert "config.yaml: hydra.callbacks.x._target_='os.system': is none of" in capsys.readouterr().err


LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: ${oc.env:HOME}\nmodel: 1\n", r"holds an interpolation \(\$\{\.\.\.\}\), as no saved configuration"),
        ("data: 1\nmodel: {_target_: '${oc.decode:os.system}'}\n", r"holds an interpolation"),
        (LAUGHS, r"refers within itself \(\*name\), as no configuration of retseg does; refused"),
        (
            "data: 1\nmodel: 1\nx: '" + "x" * MAX_BYTES + "'\n",
            r"is of 262,\d{3} bytes, a configuration of at most 262,144",
        ),
        ("data: 1\nmodel: 1\nx: " + "[" * 5000 + "]" * 5000, "is nested deeper than 32 levels"),
        (
            "data: !!python/object/apply:os.system [x]\nmodel: 1\n",
            r"cannot be read \(could not determine a constructor",
        ),
        ("data: {\n", r"cannot be read \("),
        ("\0", r"cannot be read \("),
        ("hello", r"not the configuration of a run \(no data and no model\); name a run folder"),
        ("[1, 2]", r"not the configuration of a run"),
        ("", r"not the configuration of a run"),
    ],
    ids=["environment", "decoded", "laughs", "large", "deep", "python", "cut off", "binary", "word", "list", "empty"],
)
def test_a_configuration_is_plain_values_of_some_kilobytes(tmp_path, text, message):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        load_config(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "config.yaml"))
    assert "\n" not in str(caught.value)


def test_a_configuration_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"data: \xff\xfe\nmodel: 1\n")
    with pytest.raises(InputError, match=r"config\.yaml: cannot be read \("):
        load_config(tmp_path)


def test_a_saved_configuration_comes_back_as_it_was(run, whole):
    assert OmegaConf.to_container(load_config(run)) == whole


def test_looking_at_a_run_folder_never_downloads(run, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("retseg.data.sources.duke.download_duke", lambda *_: asked.append(1))
    for name in ("duke", "duke_agreed"):
        composed = compose_config([f"data={name}", f"data.root={tmp_path / 'none'}", "data.download=true"])
        with pytest.raises(InputError, match="none"):
            build_source(composed)
        assert not asked
        with pytest.raises(InputError, match="none"):
            build_source(composed, downloads=True)
        assert len(asked) == 1
        asked.clear()
