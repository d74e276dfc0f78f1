"""A finished run of seconds, trained once a session, and the facts read from it."""

import functools
import os
import subprocess
import sys
from pathlib import Path

from omegaconf import OmegaConf

from retseg.build import load_config
from retseg.commands.config_folder import compose_config
from retseg.reproduction.read_run import Configs, Extras, read_run
from tests.conftest import TINY


@functools.cache
def finished_run(base: Path) -> Path:
    """The run folder, made below a folder of the session by the command itself."""
    folder = base / "finished_for_reproduction"
    command = [sys.executable, "-m", "retseg.train", *TINY, f"hydra.run.dir={folder}"]
    command.append("callbacks.gradcam.layers=[conv2d_20,conv2d_19]")
    base.mkdir(exist_ok=True)
    done = subprocess.run(
        command, cwd=base, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    return folder


@functools.cache
def facts_of(run_dir: Path):
    """Its facts."""
    config = load_config(run_dir)
    experiments = [
        compose_config([f"experiment={name}", "paths.run_dir=none"]) for name in ("paper_code", "duke_segnet")
    ]
    return read_run(run_dir, Configs(config, OmegaConf.to_container(config), *experiments), Extras())
