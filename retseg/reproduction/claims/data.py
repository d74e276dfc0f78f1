"""What section 3.1 says of the data: P1 to P11."""

import numpy as np
import torch
import torch.nn.functional as F

from retseg.anatomy import CLASS_NAMES, LAYERS, NUM_CLASSES
from retseg.bscan import BScan, ScanKey
from retseg.data.transforms import resize
from retseg.reproduction.arithmetic import paper_pixel_um
from retseg.reproduction.claim import Finding, Outcome, by_definition, claim, held, held_on_duke, lacking, tiny
from retseg.reproduction.paper_values import (
    DUKE_AXIAL_UM,
    DUKE_LATERAL_UM,
    NUM_DUKE_BSCANS_PER_SUBJECT,
    NUM_DUKE_GRADERS,
    NUM_DUKE_SUBJECTS,
)
from retseg.reproduction.run_facts import RunFacts

NUM_DUKE_IMAGES = NUM_DUKE_SUBJECTS * NUM_DUKE_BSCANS_PER_SUBJECT * NUM_DUKE_GRADERS
DESCRIBE = "retseg data describe -s duke --root FOLDER -o OUT"


@claim("P1", "3.1, 3.6", "Size of the data set")
def p1(facts: RunFacts) -> Finding:
    """220 images from the Duke OCT set; section 3.6 calls them 220 volumes."""
    paper = facts.paper
    product = f"{NUM_DUKE_SUBJECTS} subjects x {NUM_DUKE_BSCANS_PER_SUBJECT} B-scans x {NUM_DUKE_GRADERS} graders"
    here = "" if facts.scans is None else (
        f"; this run's set: {facts.scans.num_images} annotated images of {facts.scans.num_bscans} B-scans, "
        f"{facts.scans.num_subjects} subjects"
    )  # fmt: skip
    measured = f"{product} = {NUM_DUKE_IMAGES} annotated images of {NUM_DUKE_SUBJECTS} volumes{here}"
    if paper.num_volumes != NUM_DUKE_SUBJECTS:
        why = (
            f"{paper.num_images} images is right, {paper.num_volumes} volumes is not: every B-scan is there twice, "
            f"so only {NUM_DUKE_IMAGES // NUM_DUKE_GRADERS} pictures differ, from {NUM_DUKE_SUBJECTS} eyes."
        )
        return Finding(Outcome.CONTRADICTED, measured, "exact", why)
    images = facts.scans.num_images if facts.scans else 0
    return held_on_duke(facts, images == paper.num_images, measured, "exact", command=DESCRIBE, manual=False)


@claim("P2", "3.1", "Image size and types")
def p2(facts: RunFacts) -> Finding:
    """Images are 216 x 500 pixels, stored as int64, the masks as float64."""
    if facts.scans is None:
        return lacking(facts, "scans")
    height, width = facts.scans.shape
    measured = f"{height} x {width} px before resizing, {facts.scans.dtype} as retseg reads them"
    why = (
        "The types carry nothing: gray levels and class ids are whole numbers, and retseg refuses labels that are not."
    )
    return held_on_duke(facts, facts.scans.shape == facts.paper.shape, measured, "exact", why, DESCRIBE, manual=False)


@claim("P3", "3.1", "Eight classes")
def p3(facts: RunFacts) -> Finding:
    """The masks hold eight values, 0 to 7, each of which is a retinal layer."""
    area_0, areas = facts.paper.mean_20[0], facts.paper.mean_20[1:]
    shares = _class_shares(facts)
    measured = (
        f"{len(LAYERS)} layers and a background: class 0 fills {area_0:.1%} of the paper's own scan (Table 3), "
        f"the other seven {sum(areas):.1%} together; {shares[0]:.1%} of this run's annotated pixels"
    )
    why = "Class 0 is what lies above and below the retina. A layer between two others cannot fill most of the image."
    if facts.paper.num_layers == NUM_CLASSES and area_0 > sum(areas):
        return Finding(Outcome.CONTRADICTED, measured, "area of class 0 above that of all others", why)
    return held(facts.paper.num_layers == len(LAYERS), measured, "exact", why)


@claim("P4", "3.1", "Exploration")
def p4(facts: RunFacts) -> Finding:
    """Shapes, types and unique mask values were looked at before the network was chosen."""
    if facts.scans is None:
        return lacking(facts, "scans")
    labels = ", ".join(map(str, facts.scans.labels))
    measured = f"{facts.scans.num_images} images of {facts.scans.shape[0]} x {facts.scans.shape[1]}, labels {labels}"
    found = facts.scans.labels == tuple(range(facts.paper.num_classes)) and facts.scans.shape == facts.paper.shape
    return held_on_duke(facts, found, measured, "exact", command=DESCRIBE, manual=False)


@claim("P5", "3.1, Figure 1", "Sample scans")
def p5(facts: RunFacts) -> Finding:
    """Two random scans are shown in gray, their masks in the jet colours."""
    if facts.scans is None:
        return lacking(facts, "scans")
    names = ", ".join(sample.name for sample in facts.scans.samples)
    measured = f"Figure 1 below shows {names}"
    why = "Fixed class colours, no pixel resampled: smoothed jet colours draw a false line where class 7 meets class 0."
    return held_on_duke(
        facts, len(facts.scans.samples) >= 2, measured, "at least two scans", why, DESCRIBE, manual=False
    )


@claim("P6", "3.1, 3.3", "Class imbalance")
def p6(facts: RunFacts) -> Finding:
    """Classes are imbalanced; its code draws histograms and shares, the paper prints none."""
    shares, printed = _class_shares(facts), facts.paper.mean_20
    ratio = max(shares) / min(share for share in shares if share > 0)
    measured = (
        f"share of annotated pixels by class {' '.join(f'{s:.3f}' for s in shares)}: the largest is {ratio:.0f} "
        f"times the smallest; Table 3 implies {' '.join(f'{s:.3f}' for s in printed)} for one scan "
        f"({max(printed) / min(printed):.0f} times)"
    )
    agree = ratio > 5 and all(0.5 <= ours / theirs <= 2 for ours, theirs in zip(shares, printed, strict=True))
    return held_on_duke(facts, agree, measured, "each share within a factor of 2 of Table 3's", command=DESCRIBE)


@claim("P7", "3.1", "Intensities")
def p7(facts: RunFacts) -> Finding:
    """Gray levels are brought to the range 0 to 1."""
    if facts.cam is None:
        return lacking(facts, "gradcam")
    low, high = float(facts.cam.image.min()), float(facts.cam.image.max())
    measured = f"what the network saw of {facts.cam.scan} lies in {low:.3f} to {high:.3f}"
    return held(low >= 0 and high <= 1, measured, "within 0 to 1")


@claim("P8", "3.1, 3.6", "Resizing")
def p8(facts: RunFacts) -> Finding:
    """Images are resized to 256 x 256 bilinearly, masks to the nearest pixel."""
    size = facts.config["data"]["size"]
    two = np.array([[0, 200], [0, 200]], np.uint8)
    big = resize(BScan(ScanKey(0, "s00", 0), two, mask=(two // 40).astype(np.int8)), 4, 4)
    assert big.mask is not None
    blends = len(np.unique(big.image)) > 2
    keeps = set(np.unique(big.mask)) == {0, 5}
    axial, lateral = paper_pixel_um(DUKE_AXIAL_UM, DUKE_LATERAL_UM, facts.paper.shape, facts.paper.input_size)
    measured = (
        f"size {size}; a 2 x 2 edge enlarged: image {'blends' if blends else 'does not blend'}, "
        f"mask {'keeps its two classes' if keeps else 'invents classes'}"
    )
    why = (
        f"Pixels stop being what they were: {DUKE_AXIAL_UM} x {DUKE_LATERAL_UM} um become {axial:.2f} x {lateral:.1f} "
        "um; microns are measured on the scan's own grid. Masks are read about pixel centres, as images are: OpenCV's "
        "nearest lies half a pixel off."
    )
    is_so = blends and keeps and size is not None and tuple(size) == facts.paper.input_size
    return held(is_so, measured, "exact", why, "python -m retseg.train data.size=[256,256] ...")


@claim("P9", "3.1", "One-hot masks")
def p9(facts: RunFacts) -> Finding:
    """Masks are one-hot encoded so that eight classes can be told apart."""
    mask = torch.arange(facts.paper.num_classes).repeat(4).view(1, 4, -1)
    logits = torch.linspace(-2, 2, mask.numel() * facts.paper.num_classes).sin().view(1, -1, *mask.shape[1:])
    one_hot = F.one_hot(mask, facts.paper.num_classes).movedim(-1, 1)
    by_hand = -(one_hot * logits.log_softmax(1)).sum(1).mean()
    gap = abs(float(by_hand - F.cross_entropy(logits, mask)))
    measured = (
        f"cross-entropy from one-hot masks and from class ids differ by {tiny(gap)} on 4 x {mask.shape[-1]} pixels"
    )
    why = "A way of writing the same thing, at 8 times the memory."
    return by_definition(gap < 1e-6, measured, "1e-6", why)


@claim("P10", "3.1", "Training and validation")
def p10(facts: RunFacts) -> Finding:
    """80 % train; the other 20 % measure how the model generalises."""
    split = facts.paper_split
    total = len(split.train) + len(split.val)
    shared, subjects = len(split.shared_scans), len(split.shared_subjects)
    num_subjects = len({key.subject for key in split.val})
    measured = (
        f"random images, seed 42: {len(split.train)} / {len(split.val)} of {total}; {shared} of {len(split.val)} "
        f"validation images are also trained on, {subjects} of {num_subjects} subjects are on both sides. "
        f"This run: {facts.stamp}"
    )
    if shared or subjects:
        why = "The shares are right; what is measured is recall of seen pictures, not generalisation."
        command = "python -m retseg.train experiment=duke_segnet split=subject_holdout data.root=FOLDER"
        return Finding(Outcome.CONTRADICTED, measured, "no subject on both sides", why, command)
    return held(abs(len(split.val) / total - facts.paper.val_fraction) < 0.005, measured, "0.5 % of the images")


@claim("P11", "3.6", "Augmentation")
def p11(facts: RunFacts) -> Finding:
    """None is used."""
    augmentation = facts.config.get("augmentation")
    measured = "none in this run" if augmentation is None else f"this run: {augmentation['_target_'].split('.')[-1]}"
    return held(augmentation is None, measured, command="python -m retseg.train augmentation=none ...")


def _class_shares(facts: RunFacts) -> list[float]:
    """Share of annotated pixels by class, training and validation together, from the confusion matrices."""
    rows = np.array([facts.metrics[side]["confusion"] for side in ("train", "val")]).sum(axis=(0, 2))
    assert len(rows) == len(CLASS_NAMES)
    return [float(share) for share in rows / rows.sum()]
