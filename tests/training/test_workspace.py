"""The W&B workspace asks only for what runs log; the package that saves it is stood in for by one that writes down."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from retseg.anatomy import CLASS_NAMES
from retseg.training.workspace import main, sections

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own


@pytest.fixture
def saved(monkeypatch):
    """Workspaces that were saved, as their arguments; wandb_workspaces is a recorder."""
    found = []

    def recorder(kind):
        return lambda **given: SimpleNamespace(kind=kind, **given)

    class Workspace:
        def __init__(self, **given):
            self.given = given

        def save(self):
            found.append(SimpleNamespace(**self.given))

    workspaces, reports, v2 = (ModuleType(name) for name in ("workspaces", "reports", "v2"))
    for name in ("RunsetSettings", "WorkspaceSettings", "Section"):
        setattr(workspaces, name, recorder(name))
    workspaces.Workspace = Workspace
    for name in ("LinePlot", "BarPlot", "MediaBrowser", "WeavePanelSummaryTable", "MarkdownPanel"):
        setattr(v2, name, recorder(name))
    reports.v2 = v2
    modules = {"": ModuleType("wandb_workspaces"), ".workspaces": workspaces, ".reports": reports, ".reports.v2": v2}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, f"wandb_workspaces{name}", module)
    return found


def test_each_panel_asks_for_what_a_run_has_logged(told):
    logged = {key for row in told.history for key in row} | set(told.summary)
    scans = [key.removeprefix("gradcam/") for key in logged if key.startswith("gradcam/s0")]
    panels = [panel for section in sections(scans) for panel in section.panels]
    assert len(panels) > 14
    for panel in panels:
        assert set(panel.keys) <= logged, panel.title
        assert bool(panel.keys) == (panel.kind != "text")
    pictures = {key for panel in panels if panel.kind == "pictures" for key in panel.keys}
    assert all(told.values(key)[-1]["_type"] == "images/separated" for key in pictures)
    tables = {key for panel in panels if panel.kind == "table" for key in panel.keys}
    assert all(told.values(key)[-1]["_type"] == "table-file" for key in tables)


def test_the_documentation_names_each_section_and_each_key():
    page = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text()
    for section in sections(["<scan>"]):
        name = section.name.partition(" ")[2].partition(" (")[0]
        assert f"| {name}" in page
        for key in {key for panel in section.panels for key in panel.keys}:
            kind, _, last = key.rpartition("/")
            assert f"`{kind}/<layer>`" in page if last in CLASS_NAMES else f"`{key}`" in page, key


def test_each_layer_is_shown_and_the_background_is_not():
    (layers,) = [section for section in sections() if section.name.endswith("Which layers")]
    for panel in layers.panels:
        assert [key.rpartition("/")[2] for key in panel.keys] == list(CLASS_NAMES[1:])


def test_the_workspace_is_saved_in_the_project_with_curves_over_epochs(saved):
    main(["my-team/retseg", "--scans", "s02_b01"])
    (workspace,) = saved
    assert (workspace.entity, workspace.project) == ("my-team", "retseg")
    made = [panel for section in workspace.sections for panel in section.panels]
    assert len(made) == sum(len(section.panels) for section in sections(["s02_b01"]))
    assert {panel.x for panel in made if panel.kind == "LinePlot"} == {"epoch"}
    assert ["gradcam/s02_b01"] in [panel.media_keys for panel in made if panel.kind == "MediaBrowser"]
    assert "confusion_px" in [panel.table_name for panel in made if panel.kind == "WeavePanelSummaryTable"]
    (text,) = [panel.markdown for panel in made if panel.kind == "MarkdownPanel"]
    assert "labels silver" in text


@pytest.mark.parametrize(
    ("project", "told_as"),
    [
        ("retseg", "retseg: retseg: expected ENTITY/PROJECT, e.g. my-team/retseg\n"),
        ("a/b/c", "retseg: a/b/c: expected ENTITY/PROJECT, e.g. my-team/retseg\n"),
        ("/retseg", "retseg: /retseg: expected ENTITY/PROJECT, e.g. my-team/retseg\n"),
    ],
)
def test_a_project_without_its_entity_is_refused(project, told_as, saved, capsys):
    with pytest.raises(SystemExit) as left:
        main([project])
    assert left.value.code == 2
    assert capsys.readouterr().err == told_as
    assert not saved


def test_a_missing_package_is_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    with pytest.raises(SystemExit) as left:
        main(["my-team/retseg"])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "retseg: wandb-workspaces is not installed: pip install 'wandb[workspaces]'; or open the panels by hand, "
        "docs/dashboards.md names them\n"
    )
