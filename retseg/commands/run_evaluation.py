"""The evaluation of a run: from saved predictions if there are some of the same network and scans, else from data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retseg.bscan import ScanKey
from retseg.build import build_frame
from retseg.commands.progress import progress
from retseg.commands.scored_run import (
    ALL,
    ScoredRun,
    choose_scans,
    identity,
    keys_of_side,
    open_with_both_graders,
    own_stamp,
)
from retseg.errors import InputError
from retseg.evaluation import store
from retseg.evaluation.atomic import make_folder
from retseg.evaluation.case import Case
from retseg.evaluation.evaluation import (
    Evaluation,
    MeasuredSet,
    Origin,
    ceiling_words,
    evaluate,
    measure_scans,
    with_label_origin,
)
from retseg.evaluation.fluid import FluidOrigin
from retseg.evaluation.inference import Predictor, evaluating
from retseg.evaluation.network_outputs import gives_fluid
from retseg.evaluation.output import METRICS, read_metrics
from retseg.evaluation.parallel import in_order
from retseg.evaluation.scores import NUM_DRAWS
from retseg.evaluation.temperature import Scaling, cross_fitted, fitted_on_sums, fixed


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be evaluated: the side of the split (None: what the run is judged by), options of other data."""

    side: str | None = None
    data: tuple[str, ...] = ()
    num_draws: int = NUM_DRAWS
    fresh: bool = False
    quiet: bool = False


def evaluate_scans(run: ScoredRun, folder: Path, request: Request) -> Evaluation:
    """Scores of a run, with its predictions saved in folder; those that are there are used if they are the same."""
    saved = None if request.fresh else read_metrics(folder)
    made_from = identity(run, request.side, request.data)
    if saved is not None and saved.get("made_from") == made_from and (folder / store.TRUTH).is_dir():
        with progress("measuring saved predictions", len(saved["scans"]), request.quiet) as advance:
            network = store.load_network(folder / store.NETWORK)
            measured = measure_scans(
                saved["scans"], lambda name: store.load_case(folder, name, network.get(name)), advance
            )
        side = saved["split"]["side"]
        stamp = saved["split"]["stamp"] if side == ALL else own_stamp(run, side)
        origin = run_origin(run, side, stamp, saved["data"], saved["source_notices"], made_from)
    else:
        measured, origin = _predicted(run, folder, request, made_from)
    scaling = _scaling(run, folder, origin.split["side"], measured, request)
    return evaluate(measured, origin, scaling, request.num_draws)


def _predicted(
    run: ScoredRun, folder: Path, request: Request, made_from: Mapping[str, Any]
) -> tuple[MeasuredSet, Origin]:
    """Predict, measure and save scans; metrics.json is gone until the new one is written."""
    scans = choose_scans(run, request.side, request.data)
    data: dict[str, Any] = {"name": scans.source.name, "label_origin": scans.source.label_origin}
    if gives_fluid(run.net):
        data["fluid"] = FluidOrigin.of_source(scans.source).to_json()
    predictor = Predictor(run.net, scans.source, scans.frame)
    make_folder(folder)
    (folder / METRICS).unlink(missing_ok=True)
    with (
        progress("predicting and measuring", len(scans.keys), request.quiet) as advance,
        store.saving_cases(folder, scans.source.label_origin) as writer,
        evaluating(run.net),
    ):

        def case_of(key: ScanKey) -> Case:
            case = predictor.case(key)
            writer.add(case)
            return case

        measured = measure_scans(scans.keys, case_of, advance)
    store.save_network(folder / store.NETWORK, measured.records)
    notices = (*scans.notices, *scans.source.notices)
    return measured, run_origin(run, scans.side, scans.stamp, data, notices, made_from)


def run_origin(
    run: ScoredRun,
    side: str,
    stamp: str,
    data: Mapping[str, Any],
    notices: Sequence[str],
    made_from: Mapping[str, Any],
) -> Origin:
    """What stands beside the scores of a run."""
    ceiling, note = ceiling_words(data["label_origin"])
    said = list(notices)
    if side == "val" and run.is_chosen_on_val:
        said.append("the checkpoint was chosen on these validation scans: their scores are that much optimistic")
    split = {"rule": run.split["rule"], "side": side, "stamp": stamp, "sha256": run.split["sha256"]}
    protocol = None if side == ALL else run.split.get("protocol")
    epoch = run.metrics["checkpoint"]["epoch"] if run.checkpoint == "best" else None
    return Origin(
        title=f"{run.folder}, checkpoint {run.checkpoint}" + (f" (epoch {epoch})" if epoch else ""),
        stamp=with_label_origin(stamp, data["label_origin"]),
        data_name=data["name"],
        label_origin=data["label_origin"],
        ceiling=ceiling,
        ceiling_note=note,
        split=split | {"protocol": protocol},
        checkpoint={"file": f"checkpoints/{run.checkpoint}.ckpt", "epoch": epoch, "weights_sha256": run.weights},
        made_from=dict(made_from),
        notices=tuple(dict.fromkeys(said)),
        source_notices=tuple(notices),
        fluid=FluidOrigin.from_json(data["fluid"]) if "fluid" in data else None,
    )


def _scaling(run: ScoredRun, folder: Path, side: str, measured: MeasuredSet, request: Request) -> Scaling:
    """Temperatures: of validation scans, each subject's from the others; of other scans, that of validation."""
    if side == "val":
        return cross_fitted(measured.records)
    num_scans = len(measured.records)
    found = _saved_temperature(run, folder)
    if found is None:
        try:
            found = _fitted_temperature(run, request.quiet)
        except InputError as error:
            return fixed(num_scans, None, f"no temperature: the validation scans cannot be read ({error})")
    return fixed(num_scans, found, "the run's validation scans")


def _saved_temperature(run: ScoredRun, folder: Path) -> int | None:
    """Place of the temperature in an evaluation of the same weights, here or in the run folder."""
    for place in (folder, *sorted(run.folder.glob("evaluation*"))):
        saved = read_metrics(place)
        if saved is None or saved.get("checkpoint", {}).get("weights_sha256") != run.weights:
            continue
        index = saved["calibration"]["temperature_index"]
        if index is not None:
            return int(index)
    return None


def _fitted_temperature(run: ScoredRun, quiet: bool) -> int:
    source, _ = open_with_both_graders(run.config)
    keys = keys_of_side(run, source, "val")
    predictor = Predictor(run.net, source, build_frame(run.config, run.columns))
    with progress("fitting the temperature on validation scans", len(keys), quiet) as advance, evaluating(run.net):
        sums = []
        for scan in in_order(predictor.network_sums, keys):
            sums.append(scan.calibration)
            advance()
    return fitted_on_sums(sums)


def default_folder(run: ScoredRun, request: Request) -> Path:
    """RUN/evaluation for what the run is judged by; a folder of its own for anything else."""
    parts = ["evaluation"]
    if request.data:
        choice = [option for option in request.data if "=" not in option]
        parts.append(choice[0] if choice else "other_data")
    if request.side not in (None, run.judged_by):
        parts.append(str(request.side))
    if run.checkpoint != "best":
        parts.append(run.checkpoint)
    return run.folder / "_".join(parts)


def is_evaluated(run: ScoredRun, folder: Path) -> bool:
    """Whether a folder holds the evaluation that `evaluate_scans` would make anew."""
    saved = read_metrics(folder)
    return saved is not None and saved.get("made_from") == identity(run, None, ())
