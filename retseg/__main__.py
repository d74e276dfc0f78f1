"""The command line `retseg`: one line and exit code 2 where an input is wrong, the traceback with --debug."""

import sys

import typer

from retseg import __version__
from retseg.commands import audit, data
from retseg.commands.calibrate import calibrate
from retseg.commands.compare import compare
from retseg.commands.doctor import doctor
from retseg.commands.evaluate import evaluate
from retseg.commands.explain import explain
from retseg.commands.export import export
from retseg.commands.gallery import gallery
from retseg.commands.measure import measure
from retseg.commands.predict import predict
from retseg.commands.repeat import repeat
from retseg.commands.report import report
from retseg.commands.reproduce import reproduce
from retseg.commands.view import view
from retseg.errors import InputError, memory_line

app = typer.Typer(
    name="retseg",
    help="Retinal layers from OCT B-scans: predict, explain, measure in microns. To train: `python -m retseg.train`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data.app, name="data")
app.command()(audit.audit)
app.command()(evaluate)
app.command()(measure)
app.command()(compare)
app.command()(explain)
app.command()(predict)
app.command()(calibrate)
app.command()(export)
app.command()(reproduce)
app.command()(repeat)
app.command()(report)
app.command()(gallery)
app.command()(view)
app.command()(doctor)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"retseg {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error, not its one line."),
) -> None:
    """Options that stand before the command."""


def main() -> None:
    """Run the command line; exit code 2 where the user's input is wrong, or memory is short."""
    try:
        app()
    except InputError as error:
        if "--debug" in sys.argv:
            raise
        sys.stderr.write(f"retseg: {error}\n")
        sys.exit(2)
    except (MemoryError, OSError, RuntimeError, ImportError) as error:
        line = memory_line(error)
        if line is None or "--debug" in sys.argv:
            raise
        sys.stderr.write(f"retseg: {line}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
