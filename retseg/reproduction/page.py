"""The page: one HTML file that holds everything, pictures included, and asks for nothing from anywhere."""

from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from retseg import __version__
from retseg.reproduction.checklist import PARTS
from retseg.reproduction.claim import Outcome, Verdict
from retseg.reproduction.networks import CONVOLUTION, TRANSPOSED, UNPOOL
from retseg.reproduction.pictures import Picture
from retseg.reproduction.run_facts import RunFacts
from retseg.reproduction.tables import ComparisonTable
from retseg.reproduction.worked import worked_steps

TEMPLATE = "page.html.j2"

MEANINGS = {
    Outcome.REPRODUCED: "a run or its code shows it, within the tolerance given",
    Outcome.NOT_REPRODUCED: "this run does otherwise, or its value lies outside the tolerance",
    Outcome.BY_DEFINITION: "true of any network or data, so no evidence for this one",
    Outcome.CONTRADICTED: "the paper's own numbers, its code or its sources say otherwise",
    Outcome.NEEDS_DATA: "what was measured cannot settle it; the command would",
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What the page shows."""

    verdicts: Sequence[Verdict]
    tables: Sequence[ComparisonTable]
    pictures: Sequence[Picture]


def render_page(facts: RunFacts, contents: Contents) -> str:
    """The page as HTML."""
    environment = Environment(
        loader=PackageLoader("retseg.reproduction", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["data_uri"] = lambda png: f"data:image/png;base64,{b64encode(png).decode('ascii')}"
    environment.filters["slug"] = lambda outcome: outcome.name.lower()
    return environment.get_template(TEMPLATE).render(
        facts=facts,
        what_was_run=what_was_run(facts),
        counts=count_outcomes(contents.verdicts),
        meanings=MEANINGS,
        outcomes=list(Outcome),
        tables=contents.tables,
        pictures=contents.pictures,
        steps=worked_steps(facts.paper),
        parts=_by_part(contents.verdicts),
        verdicts=contents.verdicts,
        version=__version__,
    )


def count_outcomes(verdicts: Sequence[Verdict]) -> dict[Outcome, int]:
    """How many verdicts there are of each outcome, all five named."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    return {outcome: counts[outcome] for outcome in Outcome}


def what_was_run(facts: RunFacts) -> list[tuple[str, str]]:
    """The run in a few lines: a label and its words."""
    net, config, environment = facts.run_net, facts.config, facts.environment
    options = {key: value for key, value in config["model"].items() if key != "_target_" and value is not None}
    name = str(config["model"]["_target_"]).rpartition(".")[2]
    ups = ", ".join(
        f"{net.count(kind)} {kind}{'s' * (net.count(kind) != 1)}" for kind in (CONVOLUTION, TRANSPOSED, UNPOOL)
    )
    checkpoint = facts.metrics["checkpoint"]
    splits = facts.split
    size = config["data"]["size"]
    return [
        ("run", facts.folder),
        ("network", f"{name}, {net.num_parameters:,} parameters: {ups}"),
        ("its options", ", ".join(f"{key} {value}" for key, value in options.items())),
        ("data", f"{facts.data_name}, {'any size' if size is None else '{} x {} px'.format(*size)}"),
        ("labels", facts.label_origin),
        ("split", f"{splits['rule']}: {len(splits['train'])} scans train, {len(splits['val'])} validate"),
        ("leakage", facts.stamp),
        (
            "training",
            f"{len(facts.history)} epochs, batches of {config['data']['batch_size']}; best epoch {checkpoint['epoch']}",
        ),
        ("made with", f"retseg {environment['retseg']}: {_command(environment)}"),
    ]


def _command(environment: Any) -> str:
    """The command line of the training, without the path of its program."""
    return " ".join(["python -m retseg.train", *environment["command"][1:]])


def _by_part(verdicts: Sequence[Verdict]) -> list[tuple[str, list[Verdict]]]:
    """Verdicts under the title of their part, by the module that judges them."""
    claims = {
        title: {value.id for value in vars(module).values() if hasattr(value, "judge")} for title, module in PARTS
    }
    return [(title, [verdict for verdict in verdicts if verdict.id in ids]) for title, ids in claims.items()]
