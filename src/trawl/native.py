"""Calls to the C library of the system."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache

_M_ARENA_MAX = -8


def return_freed_memory() -> None:
    """Return to the system the memory that was freed, which glibc otherwise keeps for later.

    Other C libraries have no such call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def keep_few_arenas() -> None:
    """Keep memory that threads freed in as many pools as there are cores; glibc keeps eight times.

    Of a server with 100,000 chunks, 130 of 360 MB were in such pools. Other C libraries have no
    such call.
    """
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_ARENA_MAX, max(2, os.cpu_count() or 1))


@cache
def logarithm() -> Callable[[float], float]:
    """Return the natural logarithm of 32-bit numbers, which the engine takes for its scores.

    The last bit of its results differs from that of other logarithms.
    """
    found = ctypes.CDLL(None).logf
    found.argtypes, found.restype = [ctypes.c_float], ctypes.c_float
    return lambda number: float(found(number))
