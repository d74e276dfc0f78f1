"""conf/ composes in every choice, adds nothing unknown, and names only what its targets accept."""

import inspect
from pathlib import Path

import hydra.utils
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, ListConfig, OmegaConf

from retseg.build import check_types
from retseg.train import config_dir

CONF = config_dir()
CHOICES = sorted(
    f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name not in ("hydra", "paths")
)


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("config", [*overrides, "paths.run_dir=somewhere"])


def targets(node, place=""):
    """Every node with a `_target_`, with its place."""
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield place, node
        for key, child in node.items():
            yield from targets(child, f"{place}.{key}".strip("."))
    elif isinstance(node, ListConfig):
        for index, child in enumerate(node):
            yield from targets(child, f"{place}.{index}")


def test_the_choices_of_the_readme_exist():
    wanted = {"experiment=duke_segnet", "experiment=paper_code", "experiment=duke_segnet_cpu", "experiment=phantom"}
    wanted |= {"data=phantom", "data=duke", "data=paper_arrays", "data=hdf5"}
    assert wanted | {"split=paper", "split=subject_holdout", "split=subject_kfold"} <= set(CHOICES)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_adds_no_top_level_section(choice):
    assert set(composed(choice)) == set(composed())


@pytest.mark.parametrize("choice", CHOICES)
def test_every_target_accepts_its_keys_and_their_types(choice):
    config = composed(choice)
    OmegaConf.resolve(config)
    found = list(targets(config))
    assert len(found) > 10
    for place, node in found:
        settings = {key: value for key, value in node.items() if not key.startswith("_")}
        given = [None] * (place in ("optimizer",))
        inspect.signature(hydra.utils.get_object(node._target_)).bind_partial(*given, **settings)
        check_types(node, place)


def test_only_paths_asks_hydra_for_its_folder():
    files = [path for path in CONF.rglob("*.yaml") if "${hydra:" in path.read_text()]
    assert [path.relative_to(CONF) for path in files] == [Path("paths/default.yaml")]


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_files_are_short_and_experiments_open_with_their_command(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= 40
    if path.parent.name == "experiment":
        assert any(line.startswith("#   python -m retseg.train experiment=" + path.stem) for line in lines[:5])
    yaml.safe_load(path.read_text())


def test_the_papers_recipe():
    config = composed("experiment=duke_segnet")
    assert (config.optimizer.lr, list(config.optimizer.betas)) == (1e-3, [0.9, 0.999])
    assert (config.data.batch_size, config.trainer.max_epochs, list(config.data.size)) == (32, 100, [256, 256])
    assert (config.model.width, config.model.upsample, config.model.norm) == (64, "unpool", "none")
    assert (config.loss.ce_weight, config.loss.dice_weight, config.loss.dice_reduction) == (1.0, 0.5, "micro_soft")
    assert (config.scheduler.factor, config.scheduler.patience, config.scheduler.min_lr) == (0.5, 6, 1e-6)
    assert config.split._target_.endswith("PaperSplit")
    assert config.callbacks.early_stopping is None
    assert composed("experiment=paper_code").model.upsample == "transpose"
    assert composed().callbacks.early_stopping is not None
