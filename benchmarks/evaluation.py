"""What `retseg evaluate` costs beside the forward passes that it scores: interleaved, in one run.

Run `python -m benchmarks.evaluation [--width 32] [--scans 110] [--rounds 3]`.
Each scan is a B-scan of its own, scored against grader 1, with grader 2 as its ceiling. A round is the
forward passes alone (scans in memory, one by one, in eval mode) and then the whole command: reading converted scans,
predicting, measuring prediction and second grader, saving, bootstrapping, drawing all figures, writing all tables.
"""

import argparse
import contextlib
import io
import json
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from omegaconf import OmegaConf

from retseg.build import build_frame, build_net, build_source, load_config, load_net
from retseg.commands.config_folder import compose_config
from retseg.commands.evaluate import evaluate_run, tell
from retseg.data.sources.hdf5_convert import convert
from retseg.data.sources.phantom import PhantomSource
from retseg.data.splits import SubjectHoldout
from retseg.evaluation.inference import network_input, windowed
from retseg.training.environment import weights_sha256

LIMIT = 1.5
RATIO = "evaluation / forward passes"


def make_run(folder: Path, width: int, num_scans: int) -> Path:
    """A run folder whose validation set holds that many scans, with a network that was never trained."""
    phantom = PhantomSource(num_subjects=11, bscans_per_subject=num_scans // 10, num_graders=2)
    convert(phantom, folder / "data")
    options = ["data=hdf5", f"data.root={folder / 'data'}", f"model.width={width}", "model.norm=batch"]
    config = compose_config([*options, f"paths.run_dir={folder / 'run'}"])
    run = folder / "run"
    (run / "checkpoints").mkdir(parents=True)
    OmegaConf.save(config, run / "config.yaml", resolve=True)
    split = SubjectHoldout(subjects=list(range(1, 11)))([key for key in phantom.keys if key.grader == 1])
    split.save(run / "split.json")
    net = build_net(config)
    weights = {f"net.{name}": value for name, value in net.state_dict().items()}
    torch.save({"state_dict": weights}, run / "checkpoints" / "best.ckpt")
    epoch = {"epoch": 1, "weights_sha256": weights_sha256(net)}
    metrics = {"data": {"name": phantom.name, "label_origin": phantom.label_origin}, "checkpoint": epoch}
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run


def measure(width: int = 32, num_scans: int = 110, rounds: int = 3) -> dict[str, float]:
    """Medians over rounds (the first of each warms up): seconds of either, and their ratio."""
    forward, whole = [], []
    with tempfile.TemporaryDirectory() as place:
        run = make_run(Path(place), width, num_scans)
        net = load_net(run)
        config = load_config(run)
        source, frame = build_source(config), build_frame(config)
        keys = [key for key in source.keys if key.grader == 1 and key.subject != "s11"]
        images = [network_input(windowed(source.read(key), frame.window)[0], frame.size) for key in keys]
        for _ in range(rounds + 1):
            start = perf_counter()
            with torch.no_grad():
                for image in images:
                    net(image)
            forward.append(perf_counter() - start)
            start = perf_counter()
            with contextlib.redirect_stdout(io.StringIO()):
                tell(*evaluate_run(run, fresh=True, quiet=True))
            whole.append(perf_counter() - start)
    ratios = [one / other for one, other in zip(whole[1:], forward[1:], strict=True)]
    return {
        f"forward passes of {len(images)} scans, s": median(forward[1:]),
        "the whole evaluation, s": median(whole[1:]),
        RATIO: median(ratios),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=32, help="channels of the first block")
    parser.add_argument("--scans", type=int, default=110, help="scans that are evaluated, a multiple of 10")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    options = parser.parse_args()
    for name, value in measure(options.width, options.scans, options.rounds).items():
        print(f"{name:<40}{value:>9.3f}")


if __name__ == "__main__":
    main()
