"""The page of `python -m retseg.train`, from conf/: its help, every choice with its comment, every option with its."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from docs.command_page import block, escape, table
from retseg.commands.config_folder import CONF

CALL = "python -m retseg.train"
FILE_NAME = "train.md"

_HIDDEN_GROUPS = ("hydra", "paths")


def summary() -> str:
    """The first line of its help."""
    return str(_help()["header"])


def page(links: list[str]) -> str:
    """The page of training."""
    words = _help()
    example_lines = words["template"].split("Examples\n")[1].split("\n\n")[0].splitlines()
    parts = [
        f"# {CALL}",
        escape(summary()),
        block([f"{CALL} [-m] [GROUP=CHOICE ...] [OPTION=VALUE ...]"]),
        escape(words["footer"].strip()),
        "`-m` makes a sweep: values with commas are tried in every combination. "
        "An experiment has the last word over the other groups.",
        "## In use",
        block([re.sub(r"\s{3,}", "   # ", line.strip()) for line in example_lines]),
        *_choices(),
        *_all_options(),
    ]
    return "\n\n".join([*parts, "## See also", "\n".join(f"- {link}" for link in links)]) + "\n"


def _choices() -> Iterator[str]:
    """A table a group, of what each of its files is."""
    yield "## Choices"
    yield (
        "What a file in `conf/GROUP/` says of itself; without a comment, what it makes. "
        "**Bold**: what is taken if nothing is said."
    )
    defaults = _defaults()
    for folder in sorted(path for path in CONF.iterdir() if path.is_dir() and path.name not in _HIDDEN_GROUPS):
        rows = [(_choice(path, defaults[folder.name]), _about(path)) for path in sorted(folder.glob("*.yaml"))]
        yield f"### {folder.name}"
        yield table((f"`{folder.name}=`", "what it is"), rows)


def _all_options() -> Iterator[str]:
    """A table for the run itself and one for each group's default choice."""
    yield "## Options"
    yield f"Of the choices in bold; other choices have their own: `{CALL} GROUP=CHOICE --help`."
    yield "### of the run"
    yield _options(CONF / "config.yaml", "")
    for group, choice in _defaults().items():
        path = CONF / group / f"{choice}.yaml"
        if choice is None or group in _HIDDEN_GROUPS or _is_global(path):
            continue
        if options := _options(path, f"{group}."):
            yield f"### of {group}={choice}"
            yield options


def _defaults() -> dict[str, str | None]:
    """Group to the choice that is taken if nothing is said; None: none of them."""
    entries = [entry for entry in _load("config.yaml")["defaults"] if isinstance(entry, dict)]
    return {name: entry[name] for entry in entries for name in entry if not name.startswith("override ")}


def _load(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CONF / name).read_text())
    return loaded


def _is_global(path: Path) -> bool:
    """Whether a file speaks of the whole configuration, not of its group alone."""
    return path.read_text().startswith("# @package _global_")


def _help() -> dict[str, str]:
    return _load("hydra/help/retseg.yaml")


def _choice(path: Path, default: str | None) -> str:
    return f"**{path.stem}**" if path.stem == default else path.stem


def _about(path: Path) -> str:
    """The sentences of the comment that a file opens with, up to its command; or the classes that it makes."""
    comment = []
    for line in path.read_text().splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("# ") or line.startswith("#  "):
            break
        comment.append(line.removeprefix("# "))
    if comment:
        return escape(" ".join(comment))
    targets = re.findall(r"_target_: (\S+)", path.read_text())
    return ", ".join(f"`{target}`" for target in targets) or "nothing"


def _options(path: Path, prefix: str) -> str:
    """A table of a file's options, their values and the comments beside them; empty if it has none."""
    lines = path.read_text().splitlines()
    rows = [
        (f"`{prefix}{name}`", f"`{value}`".replace("|", "\\|"), escape(_comment(lines[number])))
        for name, value, number in _leaves(yaml.compose(path.read_text()), lines)
    ]
    return table(("option", "value", "meaning"), rows) if rows else ""


def _leaves(node: Any, lines: list[str], prefix: str = "") -> Iterator[tuple[str, str, int]]:
    """(dotted name, value as written, line) of each option; what Hydra itself reads is left out."""
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if key.value.startswith("_") or name in ("defaults", "hydra"):
            continue
        if isinstance(value, yaml.MappingNode) and value.value:
            yield from _leaves(value, lines, f"{name}.")
        elif isinstance(value, yaml.ScalarNode):
            yield name, value.value, key.start_mark.line
        elif value.flow_style:
            yield (
                name,
                lines[value.start_mark.line][value.start_mark.column : value.end_mark.column],
                key.start_mark.line,
            )


def _comment(line: str) -> str:
    return line.split(" # ", 1)[1].strip() if " # " in line else ""
