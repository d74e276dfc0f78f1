"""What sections 4.2, 4.3 and 5 claim and hope for: P53 to P56."""

from retseg.reproduction.claim import Finding, Outcome, claim, held, lacking, number, worst
from retseg.reproduction.run_facts import RunFacts, score_in
from retseg.reproduction.variants import MARGIN, better, similar, worse

HOPES = ("class_weights", "focal", "augmented")
SECONDS_AT_MOST = 60.0


@claim("P53", "1, 3.6, 5", "What the framework brings")
def p53(facts: RunFacts) -> Finding:
    """The loss improves thin layers, 512 filters do as 1024, it generalises, and takes seconds for minutes."""
    parts = {
        "loss": worse(facts, "ce", ""),
        "filters": similar(facts, "deep", f"within {MARGIN}"),
        "generalises": _generalises(facts),
        "time": _takes_seconds(facts),
    }
    measured = "; ".join(f"{name}: {part.outcome.value} ({part.measured})" for name, part in parts.items())
    open_parts = [part for part in parts.values() if part.outcome == Outcome.NEEDS_DATA]
    commands = [part.command for part in open_parts or parts.values() if part.command]
    why = "The paper has no ablation, no timing and no second data set. Clinical trust is not measured by any run."
    tolerance = "intervals by subject; below a minute a scan"
    outcome = worst([part.outcome for part in parts.values()])
    return Finding(outcome, measured, tolerance, why, " and ".join(dict.fromkeys(commands)))


@claim("P54", "4.2, 4.3", "Remedies to come")
def p54(facts: RunFacts) -> Finding:
    """Class weights, focal and boundary losses, attention and augmentation could improve thin layers."""
    tolerance = "at least one with its interval above 0 and p below .05 (Holm)"
    if facts.ablation is None:
        return lacking(facts, "ablation", tolerance)
    found = {name: better(facts, name, "") for name in HOPES}
    measured = "; ".join(part.measured for part in found.values())
    is_sure = {name: (facts.ablation.number(name, "p_holm") or 1.0) < 0.05 for name in HOPES}
    helped = [name for name, part in found.items() if part.outcome == Outcome.REPRODUCED and is_sure[name]]
    why = f"Helped: {', '.join(helped) or 'none'}. Boundary losses and attention were not tried."
    command = f"retseg reproduce {facts.folder} --ablation {facts.ablation.folder}"
    if any(part.outcome == Outcome.NEEDS_DATA for part in found.values()):
        return Finding(Outcome.NEEDS_DATA, measured, tolerance, why, command)
    return held(bool(helped), measured, tolerance, why, command)


@claim("P55", "4.2, 5", "Further work")
def p55(facts: RunFacts) -> Finding:
    """Uncertainty, multi-scale fusion, pretraining, transformers and data of several centres would help."""
    command = f"retseg evaluate {facts.folder} --data CHOICE --data root=FOLDER"
    own = facts.score("val", "dice_macro_layers")
    there = {str(e["data"]["name"]): score_in(e, "dice", "layers", "pooled_macro") for e in facts.elsewhere}
    known = {name: value for name, value in there.items() if value is not None}
    if own is None or not known:
        why = "Nothing in the paper to compare with; this run was scored on one data set."
        return Finding(Outcome.NEEDS_DATA, f"scored on {facts.data_name} alone", "another data set", why, command)
    measured = f"mean layer Dice {own:.3f} on {facts.data_name}"
    measured += "".join(f", {value:.3f} on {name}" for name, value in known.items())
    why = "Only a network that loses on other scans can gain from data of several centres."
    return held(min(known.values()) < own - 0.02, measured, "more than .02 lost on another set", why, command)


@claim("P56", "5", "Modular and reproducible")
def p56(facts: RunFacts) -> Finding:
    """The modular design and standard preprocessing make the work reproducible."""
    saved = str(facts.metrics["checkpoint"]["weights_sha256"])
    wanted = {"config.yaml", "split.json", "environment.json", "metrics.csv", "metrics.json"}
    lost = sorted((wanted | {facts.metrics["checkpoint"]["file"]}) - facts.files)
    same = saved == facts.weights_sha256
    measured = (
        f"this run's folder {f'lacks {lost}' if lost else 'holds configuration, split, machine and scores'}; "
        f"its network, built again, has {'the same weights' if same else 'other weights'} (sha256 {saved[:12]})"
    )
    why = "Said of retseg. The authors' code holds paths of one platform in eight separate pieces."
    return held(same and not lost, measured, "the same hash", why)


def _generalises(facts: RunFacts) -> Finding:
    """Contradicted where a random split scores higher than one by subject, which is what the paper's scores rest on."""
    tolerance = "interval of random minus by subject not above 0"
    sweep = facts.leakage
    if sweep is None:
        return lacking(facts, "leakage", tolerance)
    row = next((name for name in sweep.rows if "dice" in name.lower()), next(iter(sweep.rows), ""))
    value, low, high = (sweep.number(row, name) for name in ("difference", "low", "high"))
    if low is None:
        return lacking(facts, "leakage", tolerance)
    measured = f"{row}, random split minus subjects apart: {number(value, 3)} [{number(low, 3)}, {number(high, 3)}]"
    measured += f", {sweep.origin}"
    command = f"retseg reproduce {facts.folder} --leakage {sweep.folder}"
    if not sweep.on_duke:
        return Finding(Outcome.NEEDS_DATA, measured, tolerance, "The sweep's scans are not Duke's.", command)
    outcome = Outcome.CONTRADICTED if low > 0 else Outcome.REPRODUCED
    return Finding(outcome, measured, tolerance, "", command)


def _takes_seconds(facts: RunFacts) -> Finding:
    seconds = facts.seconds_per_scan
    if seconds is None:
        return lacking(facts, "scans")
    said = f"{seconds:.2g} s a scan here, without reading it; the paper quotes up to 30 minutes by hand"
    return held(seconds < SECONDS_AT_MOST, said, f"below {SECONDS_AT_MOST:.0f} s")
