"""Networks that the page can ask, one by one or all together, and what must not be overlooked about each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, TypeVar

from retseg.inference.gate import GatedPredictor
from retseg.inference.intervals import Intervals, find_intervals
from retseg.inference.members import members_of, mode_of
from retseg.inference.network import ScanNetwork
from retseg.inference.predictor import ScanPredictor
from retseg.inference.training_distance import training_features

Result = TypeVar("Result")

TOGETHER = "all together"


class Stopwatch:
    """Seconds that the networks themselves have worked since it was last set to 0."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, call: Callable[..., Result]) -> Callable[..., Result]:
        """The same call, its time added."""

        def run(*arguments: Any) -> Result:
            start = perf_counter()
            try:
                return call(*arguments)
            finally:
                self.seconds += perf_counter() - start

        return run


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Who answers: one network, or several whose answers become one as `retseg predict` has it.

    gated, forced: the predictor behind the quality gate, and the one that predicts what the gate fails, too.
    intervals: of thickness, None where they were not calibrated for this choice; about_intervals says either.
    """

    name: str
    networks: tuple[ScanNetwork, ...]
    gated: GatedPredictor
    forced: GatedPredictor
    intervals: Intervals | None
    about_intervals: str

    @property
    def cautions(self) -> tuple[str, ...]:
        """One line each for what a reader of its answers must not overlook."""
        names: dict[str, list[str]] = {}
        for network in self.networks:
            for words in _cautions(network):
                names.setdefault(words, []).append(network.card.name)
        return tuple(f"{', '.join(dict.fromkeys(these))}: {words}" for words, these in names.items())


def choices(networks: Sequence[ScanNetwork], stopwatch: Stopwatch) -> tuple[Choice, ...]:
    """All networks together first if there are several, then each by itself; their passes on the stopwatch."""
    timed = [
        replace(
            network,
            forward=stopwatch.timed(network.forward),
            with_fluid=None if network.with_fluid is None else stopwatch.timed(network.with_fluid),
        )
        for network in networks
    ]
    names = [network.card.name for network in networks]
    singles = [
        _choice(name if names.count(name) == 1 else f"{name} ({number})", [network])
        for number, (name, network) in enumerate(zip(names, timed, strict=True), start=1)
    ]
    return (_choice(TOGETHER, timed), *singles) if len(timed) > 1 else tuple(singles)


def _choice(name: str, networks: Sequence[ScanNetwork]) -> Choice:
    reference = networks[0].card.reference
    intervals, why_none = find_intervals(reference, mode_of(networks))
    predictor = ScanPredictor(members_of(networks), features=training_features)
    gated = GatedPredictor(predictor, reference.get("training", {}))
    words = why_none if intervals is None else intervals.words
    return Choice(name, tuple(networks), gated, replace(gated, is_forced=True), intervals, words)


def _cautions(network: ScanNetwork) -> list[str]:
    card = network.card
    lines = []
    if card.label_origin == "exact":
        lines.append(f"learned from made-up scans alone ({card.data_name}); check what it finds in real ones.")
    elif card.label_origin != "manual":
        lines.append(f"learned from {card.label_origin} labels, which no person drew; it repeats their errors.")
    if "leaky" in card.stamp:
        lines.append(f"scored on a leaky split, which flatters ({card.stamp}).")
    if not card.reference:
        lines.append("never calibrated; no intervals, and unknown kinds of scans are not noticed.")
    return lines
