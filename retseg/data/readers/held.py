"""What takes long to open, or much memory, is shared by the reads of a volume and let go when it is done.

Such are an array that lies in one compressed stream (Duke's .mat, .npz), and a TIFF file of many pages.
"""

import threading
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")


class Shelf:
    """Keeps at most `capacity` things open: the one that was used longest ago makes room for another."""

    def __init__(self, capacity: int = 2) -> None:
        self._capacity, self._lock = capacity, threading.Lock()
        self._used: list[weakref.ref[Held[Any]]] = []  # weak: what nobody reads any more goes at once

    def used(self, held: "Held[Any]") -> None:
        """Note that a thing is open and in use; close what there is no room for."""
        with self._lock:
            known = [*(other for other in self._used if other() not in (None, held)), weakref.ref(held)]
            late, self._used = known[: -self._capacity], known[-self._capacity :]
        for reference in late:  # outside the lock: closing waits until nobody reads
            if (other := reference()) is not None:
                other.close()

    def forget(self, held: "Held[Any]") -> None:
        """A thing is closed."""
        with self._lock:
            self._used = [other for other in self._used if other() not in (None, held)]


class Held(Generic[Value]):
    """Something opened at its first use, used by one thread at a time, closed when every number was read once.

    It opens again if it is read after that, or after a `Shelf` closed it for others. With several threads a shelf's
    capacity may be exceeded, for the length of a read, by as many as there are threads.
    """

    def __init__(
        self,
        shelf: Shelf,
        open_value: Callable[[], Value],
        numbers: Iterable[int],
        close_value: Callable[[Value], None] = lambda _: None,
    ) -> None:
        self._shelf, self._open, self._close = shelf, open_value, close_value
        self._numbers = frozenset(numbers)
        self._unread = set(self._numbers)
        self._lock = threading.Lock()
        self._value: Value | None = None

    def read(self, number: int | None, use: Callable[[Value], Result]) -> Result:
        """What `use` makes of the open thing, for B-scan `number` (None: for none of them)."""
        with self._lock:
            if self._value is None:
                self._value = self._open()
            try:
                result = use(self._value)
            finally:
                self._unread.discard(-1 if number is None else number)
                if is_done := not self._unread:
                    self._drop()
        (self._shelf.forget if is_done else self._shelf.used)(self)
        return result

    def close(self) -> None:
        """Let it go, when nobody uses it."""
        with self._lock:
            self._drop()

    @property
    def is_open(self) -> bool:
        """Whether it takes memory, or a file handle, now."""
        return self._value is not None

    def _drop(self) -> None:
        value, self._value = self._value, None
        self._unread = self._unread or set(self._numbers)
        if value is not None:
            self._close(value)

    def __del__(self) -> None:
        self._drop()
