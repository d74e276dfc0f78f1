"""What the viewer answers to a request that it does not serve: a status and one line."""


class Refusal(Exception):  # noqa: N818  as one says it
    """A request is refused: an HTTP status, and one line that says what, which rule, and what to do next."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words
