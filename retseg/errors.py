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
    """What an error says, on one line; a stranger's not at any length, for it may repeat what a file holds."""
    said = " ".join(str(error).split())
    return said if isinstance(error, InputError) else f"{said:.400}"


def typed_line(error: BaseException) -> str:
    """The same with the error's type before it, and shorter: for libraries whose words alone say little."""
    return f"{type(error).__name__}: {one_line(error):.200}"


class ShortMemoryError(InputError):
    """The machine's memory is short: what comes next would fail, too."""


_SHORT_OF_MEMORY = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "bad_alloc",
    "can't start new thread", "failed to map segment",
)  # fmt: skip
"""What PyTorch, the system, C++, Python's threads and the loader of libraries say."""


def is_short_of_memory(error: BaseException) -> bool:
    """Whether an error of anybody's means that memory is short."""
    kinds = (OSError, RuntimeError, ImportError)
    said = one_line(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, kinds) and any(words in said for words in _SHORT_OF_MEMORY)
    )


def memory_line(error: BaseException) -> str | None:
    """One line for an error that means that memory is short, None for any other."""
    if not is_short_of_memory(error):
        return None
    reason = one_line(error) or type(error).__name__
    return (
        f"memory is short ({reason:.200}); close other programs, or take a machine with more: no file is half written"
    )
