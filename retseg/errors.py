"""What retseg says when an input is wrong: one line that names the place, the value, the rule and the next step."""


class InputError(ValueError):
    """Something that the user gave is wrong (a file, an option, a value).

    The command line prints the message alone and leaves with exit code 2; `--debug` shows the traceback.
    """
