"""Evaluations of several runs as one: the folds of a cross-validation, each scan scored by the run that held it out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retseg.commands.progress import progress
from retseg.errors import InputError
from retseg.evaluation import store
from retseg.evaluation.atomic import make_folder
from retseg.evaluation.case import Case
from retseg.evaluation.evaluation import Evaluation, Origin, ceiling_words, evaluate, measure_scans
from retseg.evaluation.fluid import FluidOrigin
from retseg.evaluation.output import METRICS, read_metrics
from retseg.evaluation.temperature import Scaling
from retseg.metrics.calibration import TEMPERATURES


def pooled(folders: Sequence[Path], output: Path, quiet: bool = False) -> Evaluation:
    """The scans of all evaluation folders as one set, saved into output. InputError where a scan is in two of them."""
    contents = {folder: _metrics(folder) for folder in folders}
    place = _place_of_each_scan(contents)
    make_folder(output)
    (output / METRICS).unlink(missing_ok=True)
    label_origin = next(iter(contents.values()))["data"]["label_origin"]
    networks = {folder: store.load_network(folder / store.NETWORK) for folder in folders}
    with (
        progress("pooling saved predictions", len(place), quiet) as advance,
        store.saving_cases(output, label_origin) as writer,
    ):

        def case_of(name: str) -> Case:
            case = store.load_case(place[name], name, networks[place[name]].get(name))
            writer.add(case)
            return case

        measured = measure_scans(place, case_of, advance)
    store.save_network(output / store.NETWORK, measured.records)
    scaling = _scaling(contents, [record.name for record in measured.records])
    return evaluate(measured, _origin(contents, output), scaling)


def _metrics(folder: Path) -> dict[str, Any]:
    content = read_metrics(folder)
    if content is None:
        raise InputError(f"{folder}: no {METRICS} here; run `retseg evaluate {folder.parent}`")
    return content


def _place_of_each_scan(contents: dict[Path, dict[str, Any]]) -> dict[str, Path]:
    """Which folder has which scan, sorted by scan."""
    place: dict[str, Path] = {}
    for folder, content in contents.items():
        for name in content["scans"]:
            if name in place:
                raise InputError(
                    f"{folder}: scan {name} is also in {place[name]}; pool folds that hold out each scan once"
                )
            place[name] = folder
    return dict(sorted(place.items()))


def _scaling(contents: dict[Path, dict[str, Any]], names: Sequence[str]) -> Scaling:
    """Each scan's temperature as its own run chose it: they are different networks, so there is no overall one."""
    temperatures: dict[str, float | None] = {}
    for content in contents.values():
        temperatures |= dict(zip(content["scans"], content["calibration"]["scan_temperatures"], strict=True))
    known = [temperatures[name] for name in names]
    indices = tuple(None if value is None else TEMPERATURES.index(value) for value in known)
    words = f"each of {len(contents)} runs' own, on its validation subjects"
    return Scaling(indices, None, words if None not in indices else "some runs have no temperature for some scans")


def _origin(contents: dict[Path, dict[str, Any]], output: Path) -> Origin:
    """What stands beside pooled scores: the runs must agree on data and labels."""
    first_folder, first = next(iter(contents.items()))
    for folder, content in contents.items():
        if content["data"] != first["data"]:
            raise InputError(f"{folder}: scored on {content['data']}, {first_folder} on {first['data']}; pool one set")
    stamps = list(dict.fromkeys(content["stamp"] for content in contents.values()))
    label_origin = first["data"]["label_origin"]
    ceiling, note = ceiling_words(label_origin)
    runs = [folder.parent.name for folder in contents]
    rules = sorted({content["split"]["rule"] for content in contents.values()})
    notices = [line for content in contents.values() for line in content["source_notices"]]
    return Origin(
        title=f"{output.parent}: {len(contents)} runs pooled ({', '.join(runs)})",
        stamp=stamps[0] if len(stamps) == 1 else f"{len(contents)} folds: {'; '.join(stamps)}",
        data_name=first["data"]["name"],
        label_origin=label_origin,
        ceiling=ceiling,
        ceiling_note=note,
        split={"rule": ", ".join(rules), "side": first["split"]["side"], "protocol": first["split"]["protocol"]},
        checkpoint={"runs": {f.parent.name: c["checkpoint"] for f, c in contents.items()}},
        made_from={"folders": [str(folder) for folder in contents]},
        notices=tuple(dict.fromkeys(notices)),
        source_notices=tuple(dict.fromkeys(notices)),
        fluid=FluidOrigin.from_json(first["data"]["fluid"]) if "fluid" in first["data"] else None,
    )
