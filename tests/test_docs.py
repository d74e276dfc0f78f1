"""Pages of commands are made from the code; links of all pages lead somewhere; examples use options that exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from typer.testing import CliRunner

from docs import command_page, make_pages
from retseg.__main__ import app
from retseg.commands.config_folder import compose_config

ROOT = Path(__file__).parents[1]
COMMANDS = list(command_page.walk(app))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def test_pages_of_commands_are_what_the_commands_say() -> None:
    made = make_pages.pages()
    lying = {path.name: path.read_text() for path in make_pages.FOLDER.glob("*.md")}
    stale = sorted(name for name in made.keys() | lying.keys() if made.get(name) != lying.get(name))
    assert not stale, f"run `make docs`: {stale}"


def test_writing_replaces_what_is_stale_and_takes_away_what_is_gone(tmp_path: Path) -> None:
    (tmp_path / "gone.md").write_text("# retseg gone\n")
    (tmp_path / "audit.md").write_text("stale")
    assert make_pages.write(tmp_path) == sorted([*make_pages.pages(), "gone.md"])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == make_pages.pages()
    assert make_pages.write(tmp_path) == []


def test_every_command_of_help_has_its_page() -> None:
    shown = set(re.findall(r"^│ (\w+) ", CliRunner().invoke(app, ["--help"]).output.split("Commands")[1], re.MULTILINE))
    assert {command.words[0] for command in COMMANDS} == shown
    index = (make_pages.FOLDER / "README.md").read_text()
    assert all(f"[`{command.call}`]({command.file_name})" in index for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.call)
def test_page_has_every_option_and_argument_that_help_shows(command: command_page.Command) -> None:
    result = CliRunner().invoke(app, [*command.words, "--help"], env={"COLUMNS": "200"}, terminal_width=200)
    shown = set(re.findall(r"^│ [* ]*(--[\w-]+)", result.output, re.MULTILINE)) - {"--help"}
    options = command_page.parameter_rows(command.made, "option")
    assert shown == {row[0].split("`")[1] for row in options}
    text = (make_pages.FOLDER / command.file_name).read_text()
    assert all(f"| {row[0]} | {row[1]} | {row[2]} | {row[3]} |" in text for row in options)
    assert all(row[3] for row in [*options, *command_page.parameter_rows(command.made, "argument")]), "no help text"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.call)
def test_examples_use_commands_and_options_that_exist(command: command_page.Command) -> None:
    assert any(line.startswith(command.call) for line in command.examples)
    for line in command.examples:
        words = shlex.split(line)
        if words[0] != "retseg":
            continue
        (used,) = [each for each in COMMANDS if tuple(words[1 : 1 + len(each.words)]) == each.words]
        known = {option for each in used.made.params for option in (*each.opts, *each.secondary_opts)}
        assert {word for word in words if re.match("--?[a-z]", word)} <= known, line


def test_types_defaults_and_limits_in_words() -> None:
    (predict,) = [each for each in COMMANDS if each.words == ("predict",)]
    rows = {row[0]: row[1:3] for row in command_page.parameter_rows(predict.made, "option")}
    assert rows["`--output`, `-o`"] == ("path", "**required**")
    assert rows["`--run`"] == ("path, repeatable", "")
    assert rows["`--eye`"] == ("one of `OD`, `OS`", "")
    assert rows["`--views`"] == ("whole number, at least 1", "`1`")
    assert rows["`--smoothness` `NATS`"] == ("number, at least 0", "`0.0`")
    assert rows["`--quiet`, `-q`"] == ("flag", "no")
    assert [row[:3] for row in command_page.parameter_rows(predict.made, "argument")] == [
        ("`paths`", "path, one or more", "**required**")
    ]


def test_markdown_shows_signs_as_they_are() -> None:
    assert command_page.escape("a|b of <class>, s*_b `x_y`") == "a\\|b of \\<class>, s\\*\\_b `x_y`"


def test_options_of_training_are_those_of_its_configuration() -> None:
    text = (make_pages.FOLDER / "train.md").read_text().split("## Options")[1]
    rows = re.findall(r"^\| `([\w.]+)` \| `(.*?)` \|", text, re.MULTILINE)
    values = _flat(OmegaConf.to_container(compose_config()))
    assert {name.split(".")[0] for name, _ in rows} >= {
        "seed",
        "data",
        "split",
        "model",
        "loss",
        "trainer",
        "callbacks",
    }
    assert [name for name, _ in rows if name not in values] == []
    assert values["data.batch_size"] == int(dict(rows)["data.batch_size"])
    assert values["optimizer.lr"] == float(dict(rows)["optimizer.lr"])
    unsaid = {name for name in values if not re.search(r"\b_\w+_$|^paths\.", name)} - dict(rows).keys()
    groups_of_nothing, inherited, objects = {"augmentation", "teacher"}, {"logger.history.folder"}, {"trainer.plugins"}
    assert unsaid == groups_of_nothing | inherited | objects


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted names to values."""
    flat: dict[str, Any] = {}
    for key, value in node.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) and value else {f"{prefix}{key}": value}
    return flat


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`(?!\])", "", path.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:", target):
            file, _, anchor = target.partition("#")
            lead = path if not file else path.parent / file
            assert lead.exists(), f"{path.name}: {target}"
            assert not anchor or anchor in _anchors(lead.read_text()), f"{path.name}: {target}"


def _anchors(text: str) -> set[str]:
    """Anchors of headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
