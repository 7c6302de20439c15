"""Refusals at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from trawl.server import pacing
from trawl.server.pacing import Pace


class Clock:
    """What the pace takes for the time; sleeping lets it go on, and is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr(pacing, "time", self)
        monkeypatch.setattr(pacing.asyncio, "sleep", self.sleep)

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def told_at(clock: Clock, refusals: Sequence[tuple[float, str | None]]) -> list[float]:
    """Give when each refusal is told, of those that are due at a time to a connection."""
    pace, times = Pace(), []
    for due, connection in refusals:
        clock.now = max(clock.now, due)
        asyncio.run(pace.keep(connection))
        times.append(clock.now)
    return times


def test_a_first_refusal_comes_at_once_and_the_next_later(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [(1.0, "a"), (1.0, "a"), (1.25, "b"), (1.26, "a"), (3.0, "a")]
    clock = Clock(monkeypatch)
    assert told_at(clock, refusals) == pytest.approx([1.0, 1.25, 1.25, 1.5, 3.0])
    assert clock.slept == pytest.approx([0.25, 0.24])


def test_who_cannot_be_told_from_others_is_not_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    told_at(clock, [(1.0, None), (1.0, None)])
    assert clock.slept == []


def test_those_who_stay_away_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_KNOWN_AT_MOST", 2)
    clock = Clock(monkeypatch)
    told_at(clock, [(1.0, "a"), (1.0, "b"), (1.0, "c"), (1.0, "a")])
    assert clock.slept == []
