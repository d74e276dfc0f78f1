"""sweep.yaml: W&B's own code makes commands of it that Hydra takes, and its metric is one that a run logs."""

import math
from pathlib import Path

import pytest
import wandb
import yaml
from omegaconf import OmegaConf
from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

from retseg.build import check_types
from retseg.commands.config_folder import compose_config
from tests.conftest import TINY
from tests.training.offline_run import runs_below

FILE = Path(__file__).parents[2] / "sweep.yaml"
SWEEP = yaml.safe_load(FILE.read_text())


def values(parameter):
    """All values of a parameter, or the ends of its range."""
    return parameter["values"] if "values" in parameter else [parameter["min"], parameter["max"]]


CHOICES = [(name, value) for name, parameter in SWEEP["parameters"].items() for value in values(parameter)]


def command(given):
    """What an agent runs, as `wandb agent` puts it together; without the macros for the environment and interpreter."""
    args = create_sweep_command_args({"args": {name: {"value": value} for name, value in given.items()}})
    made = []
    for part in create_sweep_command(SWEEP["command"]):
        is_macro = part.startswith("${") and part.endswith("}")
        made += args.get(part[2:-1], []) if is_macro else [part]
    return made


def overrides(given):
    made = command(given)
    assert made[:3] == ["python", "-m", "retseg.train"]
    return [part for part in made[3:] if not part.startswith("hydra.")]


@pytest.mark.parametrize(("name", "value"), CHOICES)
def test_each_value_of_each_parameter_composes_and_arrives(name, value):
    config = compose_config([*overrides({name: value}), "paths.run_dir=somewhere"])
    OmegaConf.resolve(config)
    for section in ("optimizer", "scheduler", "loss", "model"):
        check_types(config[section], section)
    if name in ("scheduler", "augmentation"):
        alone = compose_config([f"{name}={value}", "paths.run_dir=somewhere"])
        assert config[name] == alone[name], "the sweep has the last word, not the experiment"
    else:
        assert OmegaConf.select(config, name) == value


def test_the_learning_rate_is_not_overruled_by_a_schedule_of_its_own():
    for value in SWEEP["parameters"]["scheduler"]["values"]:
        scheduler = compose_config([f"scheduler={value}", "paths.run_dir=somewhere"]).scheduler
        assert "max_lr" not in scheduler


def test_hyperband_has_something_to_stop():
    epochs = compose_config([*overrides({}), "paths.run_dir=somewhere"]).trainer.max_epochs
    early = SWEEP["early_terminate"]
    assert math.log(epochs / early["min_iter"], early["eta"]) >= 1


@pytest.fixture
def as_an_agent(logged_out, monkeypatch, tmp_path):
    """Sets the environment as an agent does; a function of the parameters of a job."""

    def set_environment(given):
        parameters = tmp_path / "parameters.yaml"
        parameters.write_text(yaml.safe_dump({name: {"value": value} for name, value in given.items()}))
        for name, value in {
            "SWEEP_ID": "s1",
            "RUN_ID": "r1",
            "SWEEP_PARAM_PATH": parameters,
            "MODE": "offline",
        }.items():
            monkeypatch.setenv(f"WANDB_{name}", str(value))

    wandb.teardown()  # W&B reads its environment once
    yield set_environment
    monkeypatch.undo()
    wandb.teardown()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own
@pytest.mark.filterwarnings("ignore:.*parameters.yaml")  # which W&B does not close
def test_a_job_trains_in_a_folder_of_its_own_belongs_to_the_sweep_and_logs_the_metric(as_an_agent, train, tmp_path):
    given = {"optimizer.lr": 3e-4, "seed": 1, "augmentation": "none"}
    as_an_agent(given)
    ours = ("logger=", "experiment=", "evaluate=", "callbacks.")
    tiny = [option for option in TINY if not option.startswith(ours)]
    train("", *command(given)[3:], *tiny, "callbacks.gradcam=null", "callbacks.predictions=null", tiny=())
    (run,) = runs_below(tmp_path / "runs" / "wandb_sweep" / "r1")
    assert (run.run_id, run.group, run.sweep) == ("r1", "s1", "s1")
    assert run.config["optimizer"]["lr"] == 3e-4
    assert (run.config["seed"], run.config["augmentation"]) == (1, "none")
    assert len(run.values(SWEEP["metric"]["name"])) == 2, "one an epoch"
    assert SWEEP["metric"]["name"] in run.summary
    assert SWEEP["metric"]["goal"] == "maximize"
