"""A run in a few lines: what was run and on what, its split and audit, its machine, the commands that repeat it."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retseg.report.run_folder import EVALUATION, EXPLANATION, MAKERS, REPRODUCTION, ReportedRun
from retseg.report.tables import UNKNOWN, Cell, cell_of, unit_of

Fact = tuple[str, str]
SIDES = {"train": "training", "val": "validation", "test": "test"}
PARTS = {
    "audit": "audit of the split",
    EVALUATION: "evaluation",
    EXPLANATION: "heat maps",
    "reference": "calibrated intervals",
    REPRODUCTION: "the paper's points",
}


@dataclass(frozen=True, slots=True)
class GlanceRow:
    """One line of the first table: its name, and a cell a run."""

    name: str
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Leak:
    """One finding of the audit: how many of how many."""

    kind: str
    words: str
    count: int
    total: int
    unit: str
    examples: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """Calibrated intervals of one slab: factor, and the share of true thicknesses inside, mean and lowest subject."""

    slab: str
    factor: str
    mean: str
    lowest: str


def glance(runs: Sequence[ReportedRun]) -> list[GlanceRow]:
    """What is asked first, side by side."""
    return [
        GlanceRow("scored on", [Cell(_scored_on(run)) for run in runs]),
        GlanceRow("labels", [Cell(run.label_origin) for run in runs]),
        GlanceRow("leakage and labels", [Cell(run.stamp) for run in runs]),
        GlanceRow("Dice, mean of the 7 layers", [_score(run, "dice", "layers", "pooled_macro", 3) for run in runs]),
        GlanceRow(
            "mean absolute surface error",
            [_score(run, "surface_mean_absolute", "surfaces", "pooled_macro", 2, unit_of(run)) for run in runs],
        ),
        GlanceRow("expected calibration error", [_score(run, "ece", "all", "pooled", 4) for run in runs]),
        GlanceRow("network", [Cell(class_name(run.config["model"])) for run in runs]),
        GlanceRow("epochs", [Cell(_epochs(run)) for run in runs]),
    ]


def _scored_on(run: ReportedRun) -> str:
    if run.evaluation is None:
        return f"not evaluated ({run.data_name})"
    scans, subjects = len(run.scans), len(run.evaluation["subjects"])
    side = SIDES.get(str(run.evaluation["split"].get("side")), "all")
    return f"{run.scored_data}: {counted(scans, f'{side} scan')} of {counted(subjects, 'subject')}"


def counted(count: int, what: str) -> str:
    """E.g. "3 scans"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def _score(run: ReportedRun, score: str, of: str, average: str, digits: int, unit: str = "") -> Cell:
    cell = cell_of(run.find(score, of, average), digits)
    value = cell.value if cell.value == UNKNOWN else f"{cell.value} {unit}".rstrip()
    return Cell(value, cell.interval, cell.ceiling, cell.standing)


def _epochs(run: ReportedRun) -> str:
    best = (run.metrics.get("checkpoint") or {}).get("epoch")
    return f"{len(run.history)} trained" + ("" if best is None else f", weights of epoch {best}")


def class_name(node: Any) -> str:
    """The class that a part of a configuration names; "none" where there is no such part."""
    return str(node["_target_"]).rpartition(".")[2] if isinstance(node, Mapping) and "_target_" in node else "none"


def run_facts(run: ReportedRun) -> list[Fact]:
    """What was run and on what."""
    config, split = run.config, run.split
    data, model = config["data"], config["model"]
    scan = run.metrics["data"].get("scan") or {}
    chosen = (run.metrics.get("checkpoint") or {}).get("chosen_by", "not said")
    size = data.get("size")
    return [
        ("folder", str(run.folder)),
        ("data", f"{run.data_name}, labels {run.label_origin}"),
        ("scans", _scan_words(scan)),
        ("network sees", "scans at any size" if size is None else f"{size[0]} x {size[1]} px"),
        ("network", f"{class_name(model)} ({options_of(model)})"),
        ("loss", f"{class_name(config.get('loss'))} ({options_of(config.get('loss') or {})})"),
        ("augmentation", _augmentation(config.get("augmentation"))),
        ("optimizer", f"{class_name(config.get('optimizer'))}, learning rate {config['optimizer'].get('lr')}"),
        ("training", f"{_epochs(run)}, batches of {data.get('batch_size')}, seed {config.get('seed')}"),
        ("weights", f"chosen by {chosen}"),
        ("split", f"{split['rule']}: " + ", ".join(_side_words(split))),
        ("leakage", run.stamp),
        *(("of the data", str(line)) for line in (run.evaluation or {}).get("source_notices", ())),
    ]


def _augmentation(node: Any) -> str:
    """Names of the steps, or of the one step."""
    steps = node.get("steps") if isinstance(node, Mapping) else None
    return ", ".join(class_name(step) for step in steps) if steps else class_name(node)


def _scan_words(scan: Mapping[str, Any]) -> str:
    if not scan:
        return "not described"
    height, width = scan["shape"]
    axial_um, lateral_um = scan.get("spacing_um") or (None, None)
    known = axial_um is not None and lateral_um is not None
    scale = f"{axial_um:.4g} x {lateral_um:.4g} µm a pixel ({scan['source']})" if known else "scale unknown"
    return f"{height} x {width} px, {scale}" + (", others differ" if scan.get("varies") else "")


def options_of(node: Mapping[str, Any]) -> str:
    """Plain options of a part of a configuration, in words."""
    return ", ".join(
        f"{name} {value}"
        for name, value in node.items()
        if not str(name).startswith("_") and value is not None and not isinstance(value, Mapping | list)
    )


def _side_words(split: Mapping[str, Any]) -> Iterator[str]:
    for side, words in SIDES.items():
        if names := split.get(side):
            subjects = len({str(name).rpartition("_b")[0] for name in names})
            yield f"{counted(len(names), f'{words} scan')} of {counted(subjects, 'subject')}"


def split_subjects(run: ReportedRun) -> list[Fact]:
    """Subjects of each side of the split, by name."""
    found = []
    for side, words in SIDES.items():
        if names := run.split.get(side):
            subjects = sorted({str(name).rpartition("_b")[0] for name in names})
            shown = ", ".join(subjects[:40]) + (f" and {len(subjects) - 40} more" if len(subjects) > 40 else "")
            found.append((words, shown))
    return found


def leaks(run: ReportedRun) -> list[Leak]:
    """Findings of the audit, held-out scans against training first."""
    return [
        Leak(
            f"{one['kind'].replace('_', ' ')}, {SIDES.get(one['side'], one['side'])} against "
            f"{SIDES.get(one['against'], one['against'])}",
            one["definition"], one["count"], one["total"], one["unit"],
            ", ".join(one.get("examples", ())[:3]),
        )
        for one in (run.audit or {}).get("findings", ())
    ]  # fmt: skip


def coverages(run: ReportedRun, kind: str = "columns") -> tuple[str, list[Coverage]]:
    """What the first calibration of a run found, in words, and by slab; nothing where there is none."""
    entries = (run.reference or {}).get("intervals") or []
    if not entries:
        return "", []
    entry = entries[0]
    shares = entry["coverage_of_subjects_left_out"][kind]
    rows = zip(entry["slabs"], entry["factors"][kind], shares["mean"], shares["lowest"], strict=True)
    words = (
        f"{entry['level']:.0%} intervals of thickness in a column ({entry['mode']['words']}), from "
        f"{entry['num_scans']} scans of {entry['num_subjects']} subjects of {entry['data_name']}, "
        f"labels {entry['label_origin']}"
    )
    return words, [Coverage(slab, _number(factor, 2), _number(mean, 3), _number(lowest, 3))
                   for slab, factor, mean, lowest in rows]  # fmt: skip


def _number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}"


def environment_facts(run: ReportedRun) -> list[Fact]:
    """Versions, machine, hashes."""
    found = run.environment
    packages = ", ".join(f"{name} {number}" for name, number in (found.get("packages") or {}).items())
    gpus = ", ".join(found.get("gpus") or ()) or "none"
    return [
        ("retseg", str(found.get("retseg", "unknown"))),
        ("Python", str(found.get("python", "unknown"))),
        ("packages", packages),
        ("machine", f"{found.get('platform', 'unknown')}, {found.get('cpu_count')} processors, GPU: {gpus}"),
        ("weights, SHA-256", str(run.weights_sha256)),
        ("split, SHA-256", str(run.split.get("sha256"))),
    ]


def commands(run: ReportedRun) -> list[str]:
    """What makes this run again, and each part of it that is shown."""
    words = [str(word) for word in run.environment.get("command") or ["retseg.train"]]
    training = " ".join(["python -m retseg.train", *map(shlex.quote, words[1:])])
    there = {"audit": run.audit, EVALUATION: run.evaluation, EXPLANATION: run.explained, "reference": run.reference,
             REPRODUCTION: run.verdicts}  # fmt: skip
    made = [f"retseg {MAKERS[part]} {quoted(run.folder)}" for part, content in there.items() if content]
    return [training, *(line + _explain_options(run) if line.startswith("retseg explain") else line for line in made)]


def _explain_options(run: ReportedRun) -> str:
    """Options that give the methods and layers of the maps that there are."""
    assert run.explained is not None
    names = f" --methods {','.join(run.explained.methods)} --layers {','.join(run.explained.layers)}"
    return names + (" --check" if run.explained.verdicts else "")


def quoted(path: Path) -> str:
    """A path as a shell takes it."""
    return shlex.quote(str(path))
