"""What sections 3.3 to 3.6 and 4.1 say of loss, scores and training: P24 to P36."""

import math
from itertools import pairwise

import torch

from retseg.losses import CrossEntropyDice, dice_micro_soft, true_class_surprise
from retseg.reproduction.arithmetic import (
    implied_cross_entropy,
    iou_agrees,
    iou_from_dice,
    least_cross_entropy,
    macro_dice,
)
from retseg.reproduction.claim import Finding, Outcome, by_definition, claim, held, held_on_duke, number, tiny
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.variants import no_worse

DUKE_SEGNET = "python -m retseg.train experiment=duke_segnet data.root=FOLDER"
PANELS = ("accuracy", "loss", "dice_micro_soft", "iou_micro_soft")


@claim("P24", "3.3, eq. 1", "Cross-entropy")
def p24(facts: RunFacts) -> Finding:
    """Cross-entropy is the sum over i of -y log p."""
    loss, dice = facts.paper.loss[1], facts.paper.dice[1]
    entropy = implied_cross_entropy(loss, dice, facts.paper.equation_3_weights)
    height, width = facts.paper.input_size
    least, most = least_cross_entropy(dice), math.log(facts.paper.num_classes)
    logits, mask = _small_batch(facts.paper.num_classes)
    ours = float(CrossEntropyDice(1.0, 0.0)(logits, mask))
    by_hand = float(-logits.softmax(1).gather(1, mask[:, None]).log().mean())
    measured = (
        f"the printed loss leaves {entropy:.4f} a pixel; a sum over {height * width:,} pixels would be "
        f"{entropy * height * width:,.0f}. retseg's mean and a mean by hand differ by {tiny(abs(ours - by_hand))}"
    )
    why = "A sum over the classes of one pixel, and a mean over pixels: Keras' reading, and ours."
    is_so = least <= entropy <= most and abs(ours - by_hand) < 1e-5
    return by_definition(is_so, measured, f"between {least:.3f} (Jensen) and log 8 = {most:.3f}", why)


@claim("P25", "3.3, eq. 2", "Dice")
def p25(facts: RunFacts) -> Finding:
    """Dice is 2 |A and B| / (|A| + |B|) of predicted and true mask; it is .9446 in validation."""
    logits, mask = _small_batch(facts.paper.num_classes)
    probabilities = logits.softmax(1)
    truth = torch.nn.functional.one_hot(mask, facts.paper.num_classes).movedim(-1, 1)
    overlap = float(2 * (probabilities * truth).sum() / (probabilities.sum() + truth.sum()))
    mean_true = float(dice_micro_soft(true_class_surprise(logits, mask), mask >= 0))
    printed, of_table_2 = facts.paper.dice[1], macro_dice(facts.paper.class_iou, 0)
    layers = macro_dice(facts.paper.class_iou, 1)
    measured = (
        f"soft Dice over pixels and classes minus mean probability of the true class: {tiny(overlap - mean_true)}"
        f". Printed {printed:.4f}; Table 2 implies {of_table_2:.3f} as a mean over classes, {layers:.3f} over layers. "
        f"This run: micro soft {number(facts.score('val', 'dice_micro_soft'))}, layers "
        f"{number(facts.score('val', 'dice_macro_layers'))}"
    )
    if abs(printed - of_table_2) < 0.01:
        return held(True, measured, "printed within .01 of the mean over classes")
    why = "The printed Dice is a mean probability, background included: no Dice per layer of the literature compares."
    return by_definition(abs(overlap - mean_true) < 1e-6, measured, "identity to 1e-6", why)


@claim("P26", "3.3, eq. 3; 3.6", "Hybrid loss")
def p26(facts: RunFacts) -> Finding:
    """The loss is cross-entropy + 0.5 (1 - Dice), with equal weighting (lambda = 0.5)."""
    paper, readings = facts.paper, {"eq. 3": facts.paper.equation_3_weights, "equal": facts.paper.section_3_6_weights}
    loss, dice = paper.loss[1], paper.dice[1]
    entropy = {name: implied_cross_entropy(loss, dice, weights) for name, weights in readings.items()}
    times = {name: value / (1 - dice) for name, value in entropy.items()}
    measured = f"{loss} and Dice {dice} leave a cross-entropy of " + ", ".join(
        f"{value:.4f} by {name} weights, {times[name]:.2f} times 1 - Dice" for name, value in entropy.items()
    )
    own, hint = _entropy_over_dice_loss(facts), ""
    if own is not None:
        nearest = min(times, key=lambda name: abs(times[name] - own))
        measured += f"; in this run it is {own:.2f} times"
        hint = f" This run's ratio lies nearer to {nearest} weights."
    if len({first / second for first, second in readings.values()}) > 1:
        why = (
            f"Weights 1 and 0.5 are not equal. Cross-entropy is not printed, so the loss alone fits both.{hint} "
            "retseg follows eq. 3, as the authors' code does, and offers both."
        )
        command = "python -m retseg.train loss.ce_weight=0.5 loss.dice_weight=0.5 ..."
        return Finding(Outcome.CONTRADICTED, measured, "equal ratios of weights", why, command)
    config = facts.config["loss"]
    weights = (config.get("ce_weight"), config.get("dice_weight"))
    return held(weights == paper.equation_3_weights, measured, command=DUKE_SEGNET)


@claim("P27", "3.3.1, eq. 4, 5", "Accuracy and IoU")
def p27(facts: RunFacts) -> Finding:
    """Accuracy is the share of right pixels; IoU is |A and B| / |A or B|, stricter than Dice."""
    paper, ours = facts.paper, (facts.score("val", "dice_micro_soft"), facts.score("val", "iou_micro_soft"))
    evaluated = facts.evaluated("paper_iou_micro_soft", "classes")
    assert ours[0] is not None
    assert ours[1] is not None
    gap = abs(iou_from_dice(ours[0]) - ours[1])
    words = [
        f"{dice:.4f} / (2 - {dice:.4f}) = {iou_from_dice(dice):.4f}, printed {iou:.4f}"
        for dice, iou in zip(paper.dice, paper.iou, strict=True)
    ]
    measured = f"{'; '.join(words)}. This run: {ours[1]:.4f}, off by {tiny(gap)}"
    measured += "" if evaluated is None else f"; evaluated again: {evaluated:.4f}"
    agree = all(iou_agrees(*pair) for pair in zip(paper.dice, paper.iou, strict=True)) and gap < 1e-4
    why = "The printed IoU is the printed Dice again, D / (2 - D): two scores, one measurement."
    return by_definition(agree, measured, "within the rounding of both", why, f"retseg evaluate {facts.folder}")


@claim("P28", "3.4, 3.6", "Optimizer")
def p28(facts: RunFacts) -> Finding:
    """Adam, initial rate 0.001, betas 0.9 and 0.999."""
    optimizer, schedule = facts.config["optimizer"], _class_name(facts.config.get("scheduler"))
    betas = tuple(optimizer.get("betas", ()))
    first = next((float(row["lr"]) for row in facts.history if row.get("lr")), math.nan)
    measured = (
        f"this run: {_class_name(optimizer)}, lr {optimizer['lr']}, betas {betas}, {schedule}; starts at {first:.1e}"
    )
    paper = facts.paper
    is_so = _class_name(optimizer) == "Adam" and (optimizer["lr"], betas) == (paper.learning_rate, paper.betas)
    return held(is_so and math.isclose(first, paper.learning_rate, rel_tol=1e-6), measured, command=DUKE_SEGNET)


@claim("P29", "3.4", "Epochs and batches")
def p29(facts: RunFacts) -> Finding:
    """100 epochs in batches of 32 learn without underfitting."""
    shares = [_background_share(facts, side) for side in ("train", "val")]
    epochs, batch = facts.config["trainer"]["max_epochs"], facts.config["data"]["batch_size"]
    plateau = "/".join(f"{value:.3f}" for value in facts.paper.plateau_accuracy)
    note = (
        f"The accuracy in Figure 3 lies at {plateau} for about 20 epochs, which is what calling every pixel background "
        f"scores if that is the share of background; here that share is {shares[0]:.3f}/{shares[1]:.3f}."
    )
    if facts.ablation is not None:
        return no_worse(facts, "batch_32", f"{note} The sweep keeps the epochs, so larger batches mean fewer steps.")
    accuracy = facts.score("val", "accuracy") or 0.0
    measured = f"this run: {epochs} epochs, batches of {batch}, validation accuracy {accuracy:.3f}"
    if (epochs, batch) == (facts.paper.num_epochs, facts.paper.batch_size):
        tolerance = "accuracy at least .05 above the share of background"
        return held_on_duke(facts, accuracy > shares[1] + 0.05, measured, tolerance, note, DUKE_SEGNET, manual=False)
    return Finding(
        Outcome.NEEDS_DATA, measured, "the recipe itself, or a sweep", note, facts.lacking("ablation").command
    )


@claim("P30", "3.4", "ReduceLROnPlateau")
def p30(facts: RunFacts) -> Finding:
    """The rate falls when the validation loss stops improving; factor and patience are not given."""
    scheduler = facts.config.get("scheduler") or {}
    rates = [float(row["lr"]) for row in facts.history if row.get("lr")]
    measured = (
        f"this run: {_class_name(scheduler)}, rate {rates[0]:.1e} to {rates[-1]:.1e}" if rates else "no rate logged"
    )
    why = "retseg takes the values of the authors' code: factor 0.5, patience 6, at least 1e-6."
    return held(_class_name(scheduler) == "Plateau", measured, "exact", why, DUKE_SEGNET)


@claim("P31", "3.4", "EarlyStopping")
def p31(facts: RunFacts) -> Finding:
    """Training stops early when the validation loss no longer improves."""
    is_on = facts.config.get("callbacks", {}).get("early_stopping") is not None
    measured = (
        f"the paper trains and draws all {facts.paper.num_epochs} epochs, its code names no such callback; "
        f"this run: {'on' if is_on else 'off'}, {len(facts.history)} of {facts.config['trainer']['max_epochs']} epochs"
    )
    command = (
        "python -m retseg.train ... (callbacks/default.yaml has it on; callbacks.early_stopping=null takes it off)"
    )
    if facts.paper.early_stopping_in_text and not facts.paper.early_stopping_in_code:
        return Finding(Outcome.CONTRADICTED, measured, "text against code", command=command)
    return held(is_on, measured, command=command)


@claim("P32", "3.4", "ModelCheckpoint")
def p32(facts: RunFacts) -> Finding:
    """The weights with the lowest validation loss are kept."""
    losses = {int(row["epoch"]) + 1: float(row["val/loss"]) for row in facts.history if row.get("val/loss")}
    best, kept = min(losses, key=lambda epoch: losses[epoch]), facts.metrics["checkpoint"]["epoch"]
    measured = f"lowest validation loss {losses[best]:.4f} at epoch {best}; best.ckpt is of epoch {kept}"
    return held(best == kept, measured)


@claim("P33", "3.4", "CSVLogger")
def p33(facts: RunFacts) -> Finding:
    """Loss, accuracy, Dice and IoU of both sets are written after every epoch."""
    names = [f"{side}/{name}" for side in ("train", "val") for name in PANELS]
    whole = sum(all(row.get(name) for name in names) for row in facts.history)
    measured = f"metrics.csv: {whole} of {len(facts.history)} epochs hold all {len(names)} numbers"
    return held(whole == len(facts.history) > 0, measured)


@claim("P34", "code", "TensorBoard")
def p34(facts: RunFacts) -> Finding:
    """The authors' code, not the paper, also logs to TensorBoard."""
    found = sorted(name for name in facts.files if name.startswith("tensorboard/"))
    measured = f"this run: {f'{len(found)} files in tensorboard/' if found else 'not asked for'}"
    return held(bool(found), measured, command="python -m retseg.train logger=tensorboard ...")


@claim("P35", "3.6", "Machine")
def p35(facts: RunFacts) -> Finding:
    """One Tesla P100, Python 3.10.12, TensorFlow 2.12.0, 57.6 GiB of memory."""
    found, paper = facts.environment, facts.paper
    gpus = ", ".join(found["gpus"]) or f"no GPU, {found['cpu_count']} CPU cores"
    measured = f"this run: {gpus}, Python {found['python']}, PyTorch {found['packages']['torch']}"
    is_so = any(paper.gpu in gpu for gpu in found["gpus"]) and found["python"] == paper.python
    why = f"Another framework ({paper.framework} there) and machine: no number of ours can be equal bit for bit."
    return held(is_so, measured, "exact", why)


@claim("P36", "4.1, Figure 3", "Training curves")
def p36(facts: RunFacts) -> Finding:
    """Accuracy, loss, Dice and IoU improve steadily, training and validation together."""
    losses = [float(row["val/loss"]) for row in facts.history if row.get("val/loss")]
    rises = sum(after > before for before, after in pairwise(losses))
    last = facts.history[-1]
    gap = abs(float(last["train/loss"]) - float(last["val/loss"]))
    measured = (
        f"Figure 3 below: validation loss rises in {rises} of {max(len(losses) - 1, 0)} epochs; last gap {gap:.4f}"
    )
    is_so = len(losses) > 1 and rises < 0.5 * len(losses) and gap < 0.02
    return held_on_duke(facts, is_so, measured, "falls in most epochs, last gap below .02", command=DUKE_SEGNET)


def _entropy_over_dice_loss(facts: RunFacts) -> float | None:
    """Cross-entropy over 1 - Dice in validation; None for losses that are no such plain sum."""
    config = facts.config["loss"]
    weights = (config.get("ce_weight"), config.get("dice_weight"))
    loss, dice = facts.score("val", "loss"), facts.score("val", "dice_micro_soft")
    is_plain = config.get("dice_reduction") == "micro_soft" and config.get("class_weights") is None
    if not is_plain or config.get("focal_gamma") or not weights[0] or loss is None or dice is None:
        return None
    return implied_cross_entropy(loss, dice, weights) / (1 - dice)


def _small_batch(num_classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (1, C, 3, C) and class ids (1, 3, C), some right and some wrong."""
    mask = torch.arange(num_classes).repeat(3).view(1, 3, -1)
    logits = torch.linspace(-3, 3, num_classes * mask.numel(), dtype=torch.float64).sin().view(1, num_classes, 3, -1)
    return 3 * logits, mask


def _background_share(facts: RunFacts, side: str) -> float:
    rows = [sum(row) for row in facts.metrics[side]["confusion"]]
    return float(rows[0] / sum(rows))


def _class_name(node: object) -> str:
    """Last part of a node's `_target_`."""
    target = node.get("_target_", "none") if isinstance(node, dict) else "none"
    return str(target).rpartition(".")[2]
