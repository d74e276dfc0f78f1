"""An export on the screen."""

from rich import box
from rich.table import Table

from retseg.commands.evaluation_report import report_console
from retseg.commands.exported_files import MODEL_CARD, Exported


def tell_export(exported: Exported) -> None:
    """A line a file: how large, how like the run; then where they are and how to go on."""
    console = report_console()
    table = Table(box=box.SIMPLE_HEAD, title=f"compared on {exported.inputs.words}", title_justify="left")
    for name in ("file", "MB", "pixels of another class", "logits within", "probabilities within"):
        table.add_column(name, justify="left" if name == "file" else "right")
    for file, parity in exported.files:
        unlike = f"{parity.num_unlike} of {parity.num_pixels:,}"
        numbers = (f"{parity.logits:.1e}", f"{parity.probabilities:.1e}")
        table.add_row(file.name, f"{file.num_bytes / 1e6:.2f}", unlike, *numbers)
    console.print(table)
    if exported.inputs.notice:
        console.print(f"notice: {exported.inputs.notice}")
    names = ", ".join([*(file.name for file, _ in exported.files), MODEL_CARD])
    console.print(f"written to {exported.folder}: {names}")
    readable = [file.name for file, _ in exported.files if not file.name.endswith(".pt2")]
    if readable:
        console.print(f"to predict: retseg predict SCANS --weights {exported.folder / readable[0]} -o OUT")
