"""A W&B workspace that shows first what matters first: `python -m retseg.training.workspace ENTITY/PROJECT`.

What it shows is data (`sections`); only `save` needs wandb-workspaces and an account.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from retseg.anatomy import CLASS_NAMES
from retseg.errors import InputError

NAME = "retseg"
LAYERS = CLASS_NAMES[1:]

READ_FIRST = """\
**Tags first.** `leaky`: the same scans or subjects train and validate, and scores say little about new patients.
`labels silver`: another network drew the labels, so a score is agreement with it. `labels exact`: a synthetic phantom.
`resumed`: the job went on where an earlier run of the same name stopped.

**best/...** is of the checkpoint that `best/chosen_by` explains, on the validation scans that chose it. Dice is hard,
pooled over the pixels of all validation scans; the mean is over the seven layers; an absent class is in no mean.
"""


@dataclass(frozen=True)
class Panel:
    """One panel: curves over epochs, bars over runs, pictures, a table, or text; keys are names that a run logs."""

    kind: Literal["curves", "bars", "pictures", "table", "text"]
    title: str
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Panels under one heading."""

    name: str
    panels: tuple[Panel, ...]


def _of_layers(stage: str, kind: str) -> tuple[str, ...]:
    return tuple(f"{stage}/{kind}/{name}" for name in LAYERS)


SCORES = (
    Section(
        "1 Which run",
        (
            Panel("text", READ_FIRST),
            Panel("bars", "Mean Dice of the layers, best checkpoint", ("best/dice_macro_layers",)),
            Panel("bars", "Its epoch", ("best/epoch",)),
        ),
    ),
    Section(
        "2 Is it learning",
        (
            Panel("curves", "Loss", ("train/loss", "val/loss")),
            Panel("curves", "Mean Dice of the layers", ("train/dice_macro_layers", "val/dice_macro_layers")),
            Panel("curves", "Learning rate", ("lr",)),
        ),
    ),
    Section(
        "3 Which layers",
        (
            Panel("curves", "Dice, validation", _of_layers("val_class", "dice")),
            Panel("curves", "IoU, validation", _of_layers("val_class", "iou")),
            Panel("bars", "Dice, best checkpoint", _of_layers("best", "dice")),
        ),
    ),
    Section(
        "4 What it mixes up",
        (
            Panel("pictures", "In % of each class's pixels", ("confusion",)),
            Panel("table", "In pixels", ("confusion_px",)),
            Panel("table", "Scores", ("scores",)),
            Panel("table", "The paper's Table 1", ("table1",)),
        ),
    ),
)


def sections(scans: Sequence[str] = ()) -> tuple[Section, ...]:
    """What to open, in order. scans: validation scans that runs draw, for their masks and heat maps."""
    drawn = [Panel("pictures", "Scan, truth, prediction, errors", ("predictions",))]
    explained = [Panel("table", "Each map: what the prediction already gives of it", ("gradcam/table3",))]
    if scans:
        drawn.append(Panel("pictures", "Masks to switch on and off", tuple(f"scans/{name}" for name in scans)))
        explained.insert(0, Panel("pictures", "Grad-CAM", tuple(f"gradcam/{name}" for name in scans)))
    return (
        *SCORES,
        Section("5 What it draws", tuple(drawn)),
        Section("6 What it looks at (docs/explanations.md says what that is worth)", tuple(explained)),
    )


def build(entity: str, project: str, scans: Sequence[str] = ()) -> Any:
    """The workspace as an object of wandb-workspaces, not saved. InputError where that package is missing."""
    try:
        from wandb_workspaces.workspaces import RunsetSettings, Workspace, WorkspaceSettings
        from wandb_workspaces.workspaces import Section as MadeSection
    except ImportError:
        raise InputError(
            "wandb-workspaces is not installed: pip install 'wandb[workspaces]'; or open the panels by hand, "
            "docs/dashboards.md names them"
        ) from None
    made = [
        MadeSection(name=section.name, panels=[_made(panel) for panel in section.panels], is_open=True)
        for section in sections(scans)
    ]
    columns = ["run:displayName", "run:tags", "summary:best/dice_macro_layers", "summary:best/epoch"]
    return Workspace(
        name=NAME,
        entity=entity,
        project=project,
        sections=made,
        settings=WorkspaceSettings(x_axis="epoch"),
        runset_settings=RunsetSettings(pinned_columns=columns),
    )


def _made(panel: Panel) -> Any:
    """The panel as an object of wandb-workspaces."""
    from wandb_workspaces.reports import v2

    keys = list(panel.keys)
    match panel.kind:
        case "curves":
            return v2.LinePlot(title=panel.title, x="epoch", y=keys)
        case "bars":
            return v2.BarPlot(title=panel.title, metrics=keys)
        case "pictures":
            return v2.MediaBrowser(title=panel.title, media_keys=keys, num_columns=1)
        case "table":
            return v2.WeavePanelSummaryTable(table_name=keys[0])
        case "text":
            return v2.MarkdownPanel(markdown=panel.title)


def main(arguments: Sequence[str] | None = None) -> None:
    """Save the workspace in a project."""
    parser = argparse.ArgumentParser(
        prog="python -m retseg.training.workspace", description="Save a W&B workspace for runs of retseg."
    )
    parser.add_argument("project", metavar="ENTITY/PROJECT", help="where the runs are, e.g. my-team/retseg")
    parser.add_argument("--scans", nargs="*", default=[], metavar="SCAN", help="validation scans that runs draw")
    given = parser.parse_args(arguments)
    entity, slash, project = given.project.partition("/")
    try:
        if not (entity and slash and project) or "/" in project:
            raise InputError(f"{given.project}: expected ENTITY/PROJECT, e.g. my-team/retseg")
        build(entity, project, given.scans).save()
    except InputError as error:
        sys.stderr.write(f"retseg: {error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
