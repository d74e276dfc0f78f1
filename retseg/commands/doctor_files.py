"""One file: a checkpoint, exported weights, or a scan; and what any file of scans says of itself."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, TypeVar

from retseg.commands.doctor_findings import Finding, counted, first_of, note, ok, problem
from retseg.commands.doctor_pixels import SeenPixels
from retseg.errors import InputError, one_line

if TYPE_CHECKING:
    from retseg.data.readers.volume import ScanVolume

Item = TypeVar("Item")
WEIGHTS = (".ckpt", ".safetensors", ".onnx", ".pt", ".pth", ".pt2", ".ts")
MOST_READ = 2000
"""B-scans that are read with their pixels; of more, so many evenly spread ones."""


def check_weights(path: Path) -> Iterator[Finding]:
    """A checkpoint, in a run folder or alone, or exported weights."""
    if path.suffix.lower() == ".ckpt":
        yield from check_checkpoint(path)
        return
    from retseg.commands.open_network import open_scan_network

    network = open_scan_network(path)
    card = network.card
    yield ok("weights", f"{card.name}, whole, read by {network.engine}; of retseg {card.retseg_version}")
    yield ok("learned from", f"{card.data_name}, labels {card.label_origin}: {card.stamp}")


def check_checkpoint(path: Path) -> Iterator[Finding]:
    """Whether a checkpoint is whole, and is of the network of its run folder where it lies in one."""
    from retseg.build import load_net
    from retseg.training.checkpoint_file import TO_GO_ON, read_checkpoint

    content = read_checkpoint(path)
    epoch = content.get("epoch")
    told = f"whole, epoch {epoch + 1}" if isinstance(epoch, int) else "whole"
    if absent := [name for name in TO_GO_ON if name not in content]:
        yield note(
            path.name,
            f"{told}; weights alone, no {absent[0]}: nothing to resume, but start={quote(str(path.parent.parent))}",
        )
        return
    run = path.parent.parent
    if not (run / "config.yaml").is_file():
        yield note(path.name, f"{told}; not in a run folder, so that its network is unknown: put config.yaml above it")
        return
    load_net(run, path.stem)
    yield ok(path.name, f"{told}, of the run's network")


def check_scan_file(path: Path) -> Iterator[Finding]:
    """What a file of scans holds, read to its last pixel."""
    from retseg.data.readers.find import find_scans

    found = find_scans([path])
    yield from first_of([problem(failed.name, line) for failed, line in found.failures], "files")
    yield from check_volumes(found.volumes)
    if found.volumes:
        yield ok("prediction", f"retseg predict {quote(str(path))} -o OUT")


def check_volumes(volumes: "Iterable[ScanVolume]") -> Iterator[Finding]:
    """Volumes read with their pixels: sizes, scale, copies; each that cannot be read is a problem."""
    volumes = list(volumes)
    places = [(volume, number) for volume in volumes for number in volume.numbers]
    kept = evenly(places)
    seen, failures = SeenPixels(), []
    for volume, number in kept:
        name = volume.scan_name(number) if volume.num_bscans > 1 else volume.name
        try:
            seen.add(name, volume.read(number).image)
        except (InputError, OSError, ValueError) as error:
            failures.append(problem(name, one_line(error)))
    yield from first_of(failures, "B-scans")
    formats = sorted({volume.format for volume in volumes})
    if formats:
        told = f"{counted(len(places), 'B-scan')} in {counted(len(volumes), 'volume')} ({', '.join(formats)})"
        yield ok("scans", told + ("" if len(kept) == len(places) else f"; {len(kept)} of them read, evenly spread"))
    yield from seen.sizes()
    yield from seen.copies()
    unknown = sum(volume.spacing.axial_um is None for volume in volumes)
    yield from scale(unknown, len(volumes), "volume", "with predict and measure give --spacing AXIAL,LATERAL")
    notices = list(dict.fromkeys(line for volume in volumes for line in volume.notices))
    yield from first_of([note("reader", line) for line in notices], "notices")


def scale(num_unknown: int, num: int, noun: str, cure: str) -> Iterator[Finding]:
    """Whether the size of a pixel is known."""
    if num == 0:
        return
    if num_unknown:
        yield note("scale", f"unknown for {num_unknown} of {counted(num, noun)}: no microns; {cure}")
    else:
        yield ok("scale", f"known for {counted(num, noun)}")


def evenly(items: list[Item], most: int = MOST_READ) -> list[Item]:
    """At most so many items, evenly spread."""
    step = max(1.0, len(items) / most)
    return [items[int(place * step)] for place in range(min(len(items), most))]
