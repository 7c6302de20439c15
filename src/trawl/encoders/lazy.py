"""Values that are made at their first use: nothing is loaded before it is needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Once(Generic[_T]):
    """A value made at the first call, by one thread, and kept; a failure is not kept.

    `told` hears how many seconds the making took.
    """

    def __init__(self, make: Callable[[], _T], told: Callable[[float], None] | None = None) -> None:
        self._make, self._told, self._lock = make, told, threading.Lock()
        self._made: tuple[_T] | None = None

    def __call__(self) -> _T:
        """Give the value. Raises what making it raises, and tries again at the next call."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    began = time.perf_counter()
                    self._made = (self._make(),)
                    if self._told is not None:
                        self._told(time.perf_counter() - began)
        return self._made[0]
