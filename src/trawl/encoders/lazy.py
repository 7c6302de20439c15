"""Values that are made at their first use: nothing is loaded before it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Once(Generic[_T]):
    """A value made at the first call, by one thread, and kept; a failure is not kept."""

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: tuple[_T] | None = None

    def __call__(self) -> _T:
        """Give the value. Raises what making it raises, and tries again at the next call."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = (self._make(),)
        return self._made[0]
