"""conf/ composes in every choice, adds nothing unknown, and names only what its targets accept."""

import inspect
from pathlib import Path

import hydra.utils
import pytest
import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf

from retseg.build import check_types
from retseg.commands.config_folder import CONF, compose_config
from retseg.commands.option_ranges import check_ranges
from retseg.targets import check_names

CHOICES = sorted(
    f"{path.parent.name}={path.stem}" for path in CONF.glob("*/*.yaml") if path.parent.name not in ("hydra", "paths")
)


def composed(*overrides):
    return compose_config([*overrides, "paths.run_dir=somewhere"])


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
    splits = ("paper", "cvip2018", "ynet", "he2019", "relaynet", "leave_one_subject_out", "from_file")
    wanted |= {f"split={name}" for name in (*splits, "subject_kfold", "subject_holdout")}
    wanted |= {"sweep=kfold", "sweep=leakage", "sweep=ablation", "augmentation=flip_shift_gain"}
    assert wanted <= set(CHOICES)


def test_an_ablation_has_the_last_word_over_the_sweep():
    sweep = ("experiment=duke_segnet_cpu", "sweep=ablation")
    assert composed(*sweep, "ablation=batch_32").data.batch_size == 32
    assert composed(*sweep, "ablation=no_norm").model.norm == "none"
    assert composed(*sweep, "ablation=ce").loss.dice_weight == 0
    assert composed(*sweep, "ablation=augmented").augmentation._target_.endswith("FlipShiftGain")
    assert composed(*sweep, "ablation=deep").model.max_width == 2 * 8 * composed(*sweep).model.width
    variants = yaml.safe_load((CONF / "sweep" / "ablation.yaml").read_text())["hydra"]["sweeper"]["params"]["ablation"]
    assert sorted(variants.split(",")) == sorted(path.stem for path in (CONF / "ablation").glob("*.yaml"))


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_adds_no_top_level_section(choice):
    assert set(composed(choice)) == set(composed())


@pytest.mark.parametrize("choice", CHOICES)
def test_every_target_accepts_its_keys_and_their_types(choice):
    config = composed(choice)
    OmegaConf.resolve(config)
    found = list(targets(config))
    assert len(found) > 10
    check_ranges(config)
    check_names(config)
    for place, node in found:
        settings = {key: value for key, value in node.items() if not key.startswith("_")}
        given = [None] * (place in ("optimizer",))
        inspect.signature(hydra.utils.get_object(node._target_)).bind_partial(*given, **settings)
        check_types(node, place)


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice.startswith("data=")])
def test_every_data_choice_has_what_training_reads(choice):
    read = {"source", "crop", "size", "batch_size", "num_workers", "cache", "targets"}
    assert read <= set(composed(choice).data), "copy conf/data/phantom.yaml and change its source"


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
