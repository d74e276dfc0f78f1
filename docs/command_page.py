"""One command's page in Markdown, from the typer application and from nothing else."""

import enum
import inspect
import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

_NAMES = {"Path": "path", "str": "text", "float": "number", "int": "whole number", "bool": "flag"}


@dataclass(frozen=True)
class Command:
    """A command of the application: its words ("data", "describe") and what typer made of its function."""

    words: tuple[str, ...]
    made: Any

    @property
    def call(self) -> str:
        """What is typed: retseg data describe."""
        return " ".join(("retseg", *self.words))

    @property
    def file_name(self) -> str:
        """Of its page: data_describe.md."""
        return "_".join(self.words) + ".md"

    @property
    def summary(self) -> str:
        """The first line of its help."""
        return self.made.help.split("\n\n")[0].replace("\n", " ")

    @property
    def examples(self) -> list[str]:
        """The command lines of its help."""
        return [line.strip() for part in _paragraphs(self.made.help) if _is_code(part) for line in part.splitlines()]


def walk(app: typer.Typer) -> Iterator[Command]:
    """Every command of an application, groups opened, hidden ones left out, in the order of its --help."""
    yield from _walk(typer.main.get_command(app), ())


def _walk(made: Any, words: tuple[str, ...]) -> Iterator[Command]:
    if not hasattr(made, "commands"):
        yield Command(words, made)
        return
    for name, below in made.commands.items():
        if not below.hidden:
            yield from _walk(below, (*words, name))


def page(command: Command, links: list[str]) -> str:
    """The page: summary, usage, what it does, examples, arguments, options, and these links."""
    context = typer.Context(command.made, info_name=command.call)
    usage = " ".join((command.call, *command.made.collect_usage_pieces(context)))
    text = [part for part in _paragraphs(command.made.help)[1:] if not _is_code(part) and part != "In use:"]
    parts = [f"# {command.call}", escape(command.summary), block([usage]), *map(escape, text)]
    if command.examples:
        parts += ["## In use", block(command.examples)]
    for kind, title in (("argument", "## Arguments"), ("option", "## Options")):
        if rows := parameter_rows(command.made, kind):
            parts += [title, table((kind, "type", "default", "meaning"), rows)]
    return "\n\n".join([*parts, "## See also", "\n".join(f"- {link}" for link in links)]) + "\n"


def parameter_rows(made: Any, kind: str) -> list[tuple[str, ...]]:
    """Rows (name, type, default, meaning) of a command's arguments or options."""
    hints = get_type_hints(made.callback, include_extras=True)
    shown = [each for each in made.params if each.param_type_name == kind and not each.hidden and each.name in hints]
    return [(_name(each), _type(each, hints[each.name]), _default(each), escape(each.help or "")) for each in shown]


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{escape(parameter.metavar or parameter.name)}`"
    name = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    return f"{name} `{escape(parameter.metavar)}`" if parameter.metavar else name


def _type(parameter: Any, hint: Any) -> str:
    """In words: path, repeatable; whole number, at least 1; one of `OD`, `OS`."""
    info = None
    if get_origin(hint) is Annotated:
        hint, info = get_args(hint)
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (each for each in get_args(hint) if each is not type(None))
    several = get_origin(hint) in (list, tuple)
    if several:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        words = _one_of(get_args(hint))
    elif inspect.isclass(hint) and issubclass(hint, enum.Enum):
        words = _one_of([each.value for each in hint])
    else:
        words = _NAMES[hint.__name__]
    for limit, word in ((getattr(info, "min", None), "at least"), (getattr(info, "max", None), "at most")):
        words += f", {word} {limit}" if limit is not None else ""
    if several:
        words += ", one or more" if parameter.param_type_name == "argument" and parameter.required else ", repeatable"
    return words


def _one_of(values: Any) -> str:
    return "one of " + ", ".join(f"`{value}`" for value in values)


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    value = parameter.default.value if isinstance(parameter.default, enum.Enum) else parameter.default
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{value}`"


def _paragraphs(text: str) -> list[str]:
    return [part.rstrip() for part in re.split(r"\n\s*\n", text.strip("\n"))]


def _is_code(paragraph: str) -> bool:
    return all(line.startswith("  ") for line in paragraph.splitlines())


def escape(text: str) -> str:
    """Text that Markdown and its tables show as it is; what stands in backticks stays code."""
    parts = text.replace("|", "\\|").split("`")
    return "`".join(re.sub(r"([<*_])", r"\\\1", part) if i % 2 == 0 else part for i, part in enumerate(parts))


def block(lines: list[str]) -> str:
    """Lines as a block of code."""
    return "\n".join(("```", *lines, "```"))


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    return "\n".join((lines[0], "|" + "---|" * len(head), *lines[1:]))
