"""What section 3.2 says of the network: P12 to P23. Counted by building it, without weights."""

import numpy as np

from retseg.reproduction.arithmetic import num_convolutions, segnet_parameters
from retseg.reproduction.claim import Finding, Outcome, claim, held, lacking, tiny
from retseg.reproduction.networks import CONVOLUTION, TRANSPOSED, UNPOOL
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.variants import MARGIN, better, similar

PAPER_CODE = "python -m retseg.train experiment=paper_code data.root=FOLDER"


@claim("P12", "3.2", "Input")
def p12(facts: RunFacts) -> Finding:
    """One gray channel of 256 x 256 pixels."""
    channels, size = facts.run_net.in_channels, facts.config["data"]["size"]
    measured = f"this run: {channels} channel, {'any size' if size is None else '{} x {}'.format(*size)}"
    is_so = channels == 1 and size is not None and tuple(size) == facts.paper.input_size
    return held(is_so, measured, command=PAPER_CODE)


@claim("P13", "3.2.1", "Encoder")
def p13(facts: RunFacts) -> Finding:
    """Blocks of two 3x3 ReLU convolutions and a max-pooling, 64 to 512 filters, 256 x 256 to 8 x 8."""
    net = facts.paper_net
    convolutions = net.part("encoder")
    kernels = sorted({layer.kernel for layer in convolutions})
    measured = (
        f"experiment=paper_code: {len(net.encoder_widths)} blocks, {len(convolutions)} convolutions of kernel "
        f"{kernels}, {' '.join(map(str, net.encoder_widths))} filters, "
        f"down to {net.smallest_size[0]} x {net.smallest_size[1]}; this run: "
        f"{' '.join(map(str, facts.run_net.encoder_widths)) or 'another network'}"
    )
    is_so = (net.encoder_widths, net.smallest_size) == (facts.paper.encoder_widths, facts.paper.smallest_size)
    return held(
        is_so and kernels == [3] and len(convolutions) == 2 * len(net.encoder_widths), measured, command=PAPER_CODE
    )


@claim("P14", "4.4", "Number of convolutions")
def p14(facts: RunFacts) -> Finding:
    """The last layer is called Conv2d_20, which makes 21 convolutions."""
    expected = num_convolutions(facts.paper.last_convolution)
    found = {net.name: net.count(CONVOLUTION) for net in (facts.run_net, facts.paper_net, facts.indices_net)}
    by_hand = sum(count for _, count in segnet_parameters(facts.paper.encoder_widths, facts.paper.num_classes))
    measured = (
        f"{', '.join(f'{name}: {count}' for name, count in found.items())}; parameters of paper_code "
        f"{facts.paper_net.num_parameters:,}, layer by layer {by_hand:,}"
    )
    is_so = all(count == expected for count in found.values()) and by_hand == facts.paper_net.num_parameters
    return held(is_so, measured, command=PAPER_CODE)


@claim("P15", "3.2, 3.2.1", "Pooling indices")
def p15(facts: RunFacts) -> Finding:
    """The places of the maxima are stored and used to upsample."""
    net, other = facts.paper_net, facts.indices_net
    measured = (
        f"as section 3.2.2 and the authors' code upsample: {net.count(TRANSPOSED)} transposed convolutions, "
        f"{net.count(UNPOOL)} unpoolings; with indices (experiment=duke_segnet): {other.count(UNPOOL)} unpoolings, "
        f"{other.count(TRANSPOSED)} transposed, {other.num_parameters:,} instead of {net.num_parameters:,} parameters"
    )
    if net.count(TRANSPOSED) and not net.count(UNPOOL):
        why = (
            "A decoder that upsamples by transposed convolution has nowhere to put the indices: these are two networks."
        )
        return Finding(
            Outcome.CONTRADICTED, measured, "exact", why, "python -m retseg.train experiment=duke_segnet ..."
        )
    return held(net.count(UNPOOL) == len(net.encoder_widths), measured, command=PAPER_CODE)


@claim("P16", "3.2.2", "Transposed convolutions")
def p16(facts: RunFacts) -> Finding:
    """Each decoder block first doubles the size by a transposed convolution."""
    ups = facts.paper_net.part("decoder", TRANSPOSED)
    doubles = all(2 * up.size_in[0] == up.size_out[0] and up.stride == 2 for up in ups)
    measured = f"experiment=paper_code: {len(ups)}, of stride 2{'' if doubles else ', not all doubling'}"
    return held(len(ups) == len(facts.paper.encoder_widths) and doubles, measured, command=PAPER_CODE)


@claim("P17", "1, 5", "Hybrid pooling indices")
def p17(facts: RunFacts) -> Finding:
    """Hybrid pooling indices, which are not defined, keep detail in noisy scans."""
    return better(facts, "hybrid", "Undefined in the paper; ours is unpooling plus transposed convolution.")


@claim("P18", "1, 5", "Adjustable receptive fields")
def p18(facts: RunFacts) -> Finding:
    """Adjustable receptive fields, which are not defined, keep detail in noisy scans."""
    return better(facts, "dilated", "Undefined in the paper; ours is the dilation of the deeper convolutions.")


@claim("P19", "3.2.2, 3.6", "Skips")
def p19(facts: RunFacts) -> Finding:
    """Encoder features are concatenated at every size, full resolution included."""
    net = facts.paper_net
    firsts = [layer for layer in net.part("decoder") if layer.path.endswith("conv1")]
    given = {up.path.split(".")[0]: up.channels_out for up in net.part("decoder", TRANSPOSED)}
    skipped = {layer.size_in: layer.channels_in - given[layer.path.split(".")[0]] for layer in firsts}
    words = ", ".join(f"{channels} at {size[0]} x {size[1]}" for size, channels in skipped.items())
    is_so = len(skipped) == len(facts.paper.encoder_widths) and min(skipped.values(), default=0) > 0
    return held(is_so and facts.paper.input_size in skipped, f"experiment=paper_code: {words}", command=PAPER_CODE)


@claim("P20", "3.2.2", "Decoder convolutions")
def p20(facts: RunFacts) -> Finding:
    """Two convolutions follow each concatenation."""
    layers = facts.paper_net.part("decoder")
    blocks = {layer.path.split(".")[0] for layer in layers}
    measured = f"experiment=paper_code: {len(layers)} convolutions in {len(blocks)} decoder blocks"
    return held(len(blocks) > 0 and len(layers) == 2 * len(blocks), measured, command=PAPER_CODE)


@claim("P21", "3.2.3", "Output")
def p21(facts: RunFacts) -> Finding:
    """A 1x1 convolution to eight channels, then a softmax."""
    if facts.cam is None:
        return lacking(facts, "gradcam", "sums within 1e-4 of 1")
    head, gap = facts.run_net.head, float(np.abs(facts.cam.probabilities.sum(axis=0) - 1).max())
    assert head is not None
    measured = f"this run: {head.kernel}x{head.kernel} to {head.channels_out} channels; sums within {tiny(gap)} of 1"
    is_so = head.kernel == 1 and head.channels_out == facts.paper.num_classes and gap < 1e-4
    return held(is_so, measured, "sums within 1e-4 of 1")


@claim("P22", "3.6", "512 filters")
def p22(facts: RunFacts) -> Finding:
    """At most 512 filters do about as well as 1024."""
    tolerance = f"interval of the difference within {MARGIN} of 0 (mean layer Dice)"
    return similar(facts, "deep", tolerance)


@claim("P23", "3.2.3", "Softmax")
def p23(facts: RunFacts) -> Finding:
    """Softmax ensures that a pixel belongs to one class only."""
    if facts.cam is None:
        return lacking(facts, "gradcam", "0.001")
    top = float(facts.cam.probabilities.max(axis=0).mean())
    measured = (
        f"highest probability of a pixel: {top:.3f} on average; the true class has {facts.paper.dice[1]:.4f} "
        "on average in the paper (its Dice, see P25)"
    )
    why = "Softmax shares a pixel among all classes; the argmax, which the paper does not mention, picks one."
    if top < 0.999:
        return Finding(Outcome.CONTRADICTED, measured, "1 within 0.001 would be one class only", why)
    return held(True, measured, "1 within 0.001", why)
