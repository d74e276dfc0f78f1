"""`python -m docs.make_pages` writes docs/commands/: a page a command, made from the code; `make docs` calls it."""

import re
from pathlib import Path

import typer

from docs import command_page, train_page
from docs.command_page import Command, block, escape, parameter_rows, table
from retseg.__main__ import app

DOCS = Path(__file__).parent
FOLDER = DOCS / "commands"


def pages() -> dict[str, str]:
    """File name to Markdown of every page that belongs in docs/commands."""
    commands = list(command_page.walk(app))
    made = {each.file_name: command_page.page(each, _links(each.call, commands)) for each in commands}
    made[train_page.FILE_NAME] = train_page.page(_links(train_page.CALL, commands))
    return made | {"README.md": _index(commands)}


def write(folder: Path = FOLDER) -> list[str]:
    """Write all pages and take away those of commands that are gone; the names of what changed."""
    made = pages()
    folder.mkdir(exist_ok=True)
    gone = [path for path in folder.glob("*.md") if path.name not in made]
    for path in gone:
        path.unlink()
    changed = [name for name, text in made.items() if not _says(folder / name, text)]
    for name in changed:
        (folder / name).write_text(made[name])
    return sorted(changed + [path.name for path in gone])


def _says(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


def _index(commands: list[Command]) -> str:
    """All commands, one line each, and the options that stand before a command."""
    rows = [(f"[`{train_page.CALL}`]({train_page.FILE_NAME})", escape(train_page.summary()))]
    rows += [(f"[`{each.call}`]({each.file_name})", escape(each.summary)) for each in commands]
    root = typer.main.get_command(app)
    parts = [
        "# Commands",
        "Made by `make docs` from what `--help` says; a test holds them to it.",
        table(("command", "what it does"), rows),
        "## Before the command",
        block(["retseg --debug predict scan.png -o out"]),
        table(("option", "type", "default", "meaning"), parameter_rows(root, "option")),
        "An input that is wrong is one line on standard error and exit code 2; `--debug` shows the traceback.",
    ]
    return "\n\n".join(parts) + "\n"


def _links(call: str, commands: list[Command]) -> list[str]:
    """To the pages of docs/ that name this command, and to the commands that name it or that it names."""
    links = [
        f"[{_title(path)}](../{path.name})" for path in sorted(DOCS.glob("*.md")) if _names(path.read_text(), call)
    ]
    own = next((each.made.help for each in commands if each.call == call), "")
    for other in commands:
        if other.call != call and (_names(other.made.help, call) or _names(own, other.call)):
            links.append(f"[`{other.call}`]({other.file_name})")
    if call != train_page.CALL and _names(own, train_page.CALL):
        links.append(f"[`{train_page.CALL}`]({train_page.FILE_NAME})")
    return [*links, "[All commands](README.md)"]


def _names(text: str, call: str) -> bool:
    return re.search(rf"\b{re.escape(call)}\b", text) is not None


def _title(path: Path) -> str:
    return path.read_text().split("\n", 1)[0].removeprefix("# ")


if __name__ == "__main__":
    print("docs/commands:", ", ".join(write()) or "nothing to change")
