"""What sections 3.7 and 4.4 say of Grad-CAM: P43 to P52. Judged on the saved maps and on Table 3."""

import math

import numpy as np

from retseg.bscan import Array
from retseg.reproduction.arithmetic import alpha_at_softmax, alphas_cancel, sum_agrees
from retseg.reproduction.claim import Finding, Outcome, by_definition, claim, held, lacking, numbers, tiny
from retseg.reproduction.read_run import on_image_grid
from retseg.reproduction.run_facts import CamFacts, RunFacts

LAST, SECOND_LAST = "conv2d_20", "conv2d_19"


@claim("P43", "3.7, eq. 6", "Channel weights")
def p43(facts: RunFacts) -> Finding:
    """Alpha is the mean over pixels of the slope of the class score; Table 3 prints it for Conv2d_19."""
    printed = math.fsum(facts.paper.alpha_19)
    measured = f"the printed alphas of Conv2d_19 sum to {printed:.1e}"
    obeys = True
    if facts.cam is not None and SECOND_LAST in facts.cam.layers:
        weights = facts.cam.layers[SECOND_LAST].weights
        rest, largest = float(np.abs(weights.sum(axis=0)).max()), float(np.abs(weights).max())
        obeys = rest <= 1e-3 * largest
        measured += f"; this run's sum to at most {rest:.1e} a channel, the largest being {largest:.1e}"
    if not alphas_cancel(facts.paper.alpha_19):
        why = (
            "Softmax scores add up to a constant, so below the softmax the alphas of all classes cancel. "
            "How the printed row was made is not known."
        )
        return Finding(Outcome.CONTRADICTED, measured, "a sum of 0 within the rounding", why)
    return held(obeys, measured, "a sum of 0 within 1e-3 of the largest")


@claim("P44", "3.7, eq. 7", "The map")
def p44(facts: RunFacts) -> Finding:
    """The map is the ReLU of the sum over channels of alpha times the features."""
    cam = _cam(facts, LAST)
    if cam is None:
        return lacking(facts, "gradcam")
    layer = cam.layers[LAST]
    by_hand = np.maximum(np.einsum("ck,khw->chw", layer.weights, cam.probabilities), 0)
    gap = float(np.abs(by_hand - layer.raw).max())
    measured = f"{cam.scan}, {LAST}: saved map and eq. 7 by hand differ by {tiny(gap)}"
    why = "The authors' code takes the mean over channels; dividing by the maximum takes that factor out again."
    return held(gap < 1e-5, measured, "1e-5", why)


@claim("P45", "3.7", "The class score")
def p45(facts: RunFacts) -> Finding:
    """Y is the class-specific output; the authors' code takes the mean of the class's softmax over pixels."""
    height, width = facts.paper.input_size
    values = {r: alpha_at_softmax(facts.paper.num_classes, height * width, r) for r in ("sum", "mean")}
    measured = f"alpha at the softmax would be {values['mean']:.1e} for a mean, {values['sum']:.3f} for a sum"
    measured += f"; Table 3 prints {facts.paper.alpha_20[0]}"
    by_sum = all(abs(alpha - values["sum"]) < 5e-4 for alpha in facts.paper.alpha_20)
    if by_sum and facts.paper.score_in_code == "mean":
        why = "Only a sum gives the printed value. Maps are the same after normalisation, raw numbers are not."
        return Finding(Outcome.CONTRADICTED, measured, "5e-4", why)
    return held(by_sum, measured, "5e-4")


@claim("P46", "4.4", "Layers")
def p46(facts: RunFacts) -> Finding:
    """Conv2d_19, which refines features, and Conv2d_20, which classifies, are explained."""
    cam = facts.cam
    if cam is None:
        return lacking(facts, "gradcam")
    words = [
        f"{name} is {layer.module} ({layer.raw.shape[1]} x {layer.raw.shape[2]})" for name, layer in cam.layers.items()
    ]
    measured = f"epoch {cam.epoch}: {', '.join(words)}"
    command = f"python -m retseg.train callbacks.gradcam.layers=[{LAST},{SECOND_LAST}] ..."
    return held({LAST, SECOND_LAST} <= set(cam.layers), measured, "exact", "", command)


@claim("P47", "4.4, Table 3", "Uniform importance")
def p47(facts: RunFacts) -> Finding:
    """Conv2d_20 has a uniform importance of 0.125 for every class."""
    expected = 1 / facts.paper.num_classes
    gap = max(abs(alpha - expected) for alpha in facts.paper.alpha_20)
    measured = f"1/{facts.paper.num_classes} = {expected}; printed values differ from it by {gap:.3f} at most"
    cam = _cam(facts, LAST)
    if cam is not None:
        own = np.abs(cam.layers[LAST].weights.mean(axis=1) - expected).max()
        measured += f", this run's by {tiny(own)}"
        gap = max(gap, float(own))
    why = "The slope of a class's sum of softmax is 1 in its own channel and 0 elsewhere, for any network and image."
    return by_definition(gap < 5e-4, measured, "5e-4", why)


@claim("P48", "4.4, Table 3", "Maximum activation")
def p48(facts: RunFacts) -> Finding:
    """The maximum of every map is 1.000, which keeps activations between 0 and 1."""
    tops = (*facts.paper.max_19, *facts.paper.max_20)
    measured = f"printed: {min(tops):.3f} to {max(tops):.3f}"
    gap = max(abs(top - 1) for top in tops)
    cam = _cam(facts, LAST)
    if cam is not None:
        drawn = list(cam.layers.values())
        own = max(float(np.abs(layer.normalised.max(axis=(1, 2)) - 1)[layer.raw_max > 0].max()) for layer in drawn)
        peaks = numbers(cam.layers[LAST].raw_max.tolist())
        measured += f"; this run: within {tiny(own)} of 1, and before, at {LAST}, {peaks}"
        gap = max(gap, own)
    return by_definition(gap < 5e-4, measured, "5e-4", "Each map was divided by its own maximum.")


@claim("P49", "3.7, eq. 8; Table 3", "Mean intensity")
def p49(facts: RunFacts) -> Finding:
    """The mean of a map measures how strongly the model attends to a class."""
    total = math.fsum(facts.paper.mean_20)
    measured = f"the printed means of Conv2d_20 sum to {total:.3f}"
    agrees = sum_agrees(facts.paper.mean_20, 1.0, 3)
    cam = _cam(facts, LAST)
    if cam is not None:
        areas, means = _areas(cam), cam.layers[LAST].raw.mean(axis=(1, 2))
        agrees = agrees and abs(float(means.sum()) - 1) < 1e-3
        measured += f"; this run's to {means.sum():.3f}: {numbers(means.tolist(), 3)}"
        measured += f", the areas predicted {numbers(areas.tolist(), 3)}"
    why = "The map there is the predicted probability, so its mean is the area of the class: background first."
    return by_definition(agrees, measured, "the rounding of eight printed values, .004", why)


@claim("P50", "4.4, Figure 6", "Reading of Figure 6")
def p50(facts: RunFacts) -> Finding:
    """Feature maps of eight classes at two layers; class 0 shows reduced activation at Conv2d_20, in blue."""
    means, weak = facts.paper.mean_20, facts.paper.weak_class_in_figure_6
    rank = sorted(means, reverse=True).index(means[weak]) + 1
    measured = f"Table 3 gives class {weak} a mean intensity of {means[weak]:.3f}, number {rank} of {len(means)}"
    cam = _cam(facts, LAST)
    if cam is not None:
        measured += f"; this run: {float(cam.layers[LAST].normalised[weak].mean()):.3f}"
    if rank == 1:
        why = "The strongest map cannot be the weakest: red and blue are swapped in that figure, which shows heat maps."
        return Finding(Outcome.CONTRADICTED, measured, "text against Table 3", why)
    return held(cam is not None, measured)


@claim("P51", "3.7", "Maps of all classes")
def p51(facts: RunFacts) -> Finding:
    """Every class has its own map, laid over the scan."""
    if facts.cam is None:
        return lacking(facts, "gradcam")
    counts = {name: len(layer.raw) for name, layer in facts.cam.layers.items()}
    figures = [name for name in facts.files if name.startswith("figures/gradcam/") and name.endswith(".png")]
    measured = f"{', '.join(f'{name}: {count} maps' for name, count in counts.items())}; {len(figures)} figures"
    return held(set(counts.values()) == {facts.paper.num_classes} and bool(figures), measured)


@claim("P52", "4.4, 5", "Hierarchical learning")
def p52(facts: RunFacts) -> Finding:
    """The two layers verify hierarchical learning; Conv2d_20 separates the classes better."""
    cam = _cam(facts, LAST)
    if cam is None:
        return lacking(facts, "gradcam")
    last = _agreement(cam, LAST)
    measured = f"correlation of map and predicted probability at {LAST}: {numbers(last, 3)}"
    if SECOND_LAST in cam.layers:
        measured += f"; at {SECOND_LAST}: {numbers(_agreement(cam, SECOND_LAST))}"
    known = [value for value in last if value == value]
    why = "The map at the softmax is the prediction itself (P47): it separates classes as that does, for any network."
    if known and min(known) > 0.999:
        return Finding(Outcome.BY_DEFINITION, measured, "correlation above .999", why)
    return held(False, measured, "correlation above .999", "The saved map is not the prediction.")


def _cam(facts: RunFacts, layer: str) -> CamFacts | None:
    """The saved maps, if that layer is among them."""
    return facts.cam if facts.cam is not None and layer in facts.cam.layers else None


def _areas(cam: CamFacts) -> Array:
    """Share of the scan's pixels predicted as each class (C,)."""
    count = len(cam.probabilities)
    return np.bincount(cam.probabilities.argmax(axis=0).ravel(), minlength=count) / cam.image.size


def _agreement(cam: CamFacts, layer: str) -> list[float]:
    """Correlation over pixels of each class's map and probability; nan where one of them is flat."""
    maps = on_image_grid(cam.layers[layer].normalised, cam.image.shape)
    pairs = zip(maps.reshape(len(maps), -1), cam.probabilities.reshape(len(maps), -1), strict=True)
    return [float(np.corrcoef(m, p)[0, 1]) if m.std() > 0 and p.std() > 0 else math.nan for m, p in pairs]
