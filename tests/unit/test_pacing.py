"""Delayed refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from trawl.server import limits
from trawl.server.limits import RefusalDelay


class Clock:
    """A clock that sleeping advances; sleeps are recorded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr(limits, "time", self)
        monkeypatch.setattr(limits.asyncio, "sleep", self.sleep)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def refused_at(clock: Clock, refusals: Sequence[tuple[float, str | None]]) -> list[float]:
    """Return when each refusal is sent, of those due at a time to a connection."""
    delay, times = RefusalDelay(), []
    for due, connection in refusals:
        clock.now = max(clock.now, due)
        asyncio.run(delay.wait(connection))
        times.append(clock.now)
    return times


def test_only_repeated_refusals_are_delayed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals = [(1.0, "a"), (1.0, "a"), (1.25, "b"), (1.26, "a"), (3.0, "a")]
    clock = Clock(monkeypatch)
    assert refused_at(clock, refusals) == pytest.approx([1.0, 1.25, 1.25, 1.5, 3.0])
    assert clock.slept == pytest.approx([0.25, 0.24])


def test_refusals_without_a_connection_are_not_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    refused_at(clock, [(1.0, None), (1.0, None)])
    assert clock.slept == []


def test_idle_connections_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_CONNECTIONS", 2)
    clock = Clock(monkeypatch)
    refused_at(clock, [(1.0, "a"), (1.0, "b"), (1.0, "c"), (1.0, "a")])
    assert clock.slept == []
