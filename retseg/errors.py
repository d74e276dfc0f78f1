"""What retseg says when an input is wrong: one line that names the place, the value, the rule and the next step."""


class InputError(ValueError):
    r"""Something that the user gave is wrong (a file, an option, a value).

    The command line prints the message alone and leaves with exit code 2; `--debug` shows the traceback. It is one
    printable line whatever a file or its name put into it: line breaks, signs that steer a terminal or turn the
    direction of writing, and bytes that are no text are shown as Python writes them, e.g. `\n`.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in message))


def one_line(error: BaseException) -> str:
    """What an error of anybody's says, on one line."""
    return " ".join(str(error).split())
