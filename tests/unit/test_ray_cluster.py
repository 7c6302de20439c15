"""What a `RayCluster` accepts, without Ray."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from trawl.errors import EngineError, SettingsError, UsageError
from trawl.ingest.on_ray.cluster import RayCluster, joined, reason_of


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"workers": 0}, "0 workers: expected at least 1"),
        ({"cpus": 0}, "0 processors"),
        ({"gpus": -1}, "-1 GPUs"),
        ({"gpus": 1.5}, "expected a fraction such as 0.25, or a whole number"),
        ({"address": "ray://head:10001"}, "Ray Client is not supported"),
    ],
)
def test_values_out_of_range(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        RayCluster(**given)


@pytest.mark.parametrize(
    ("cluster", "resources", "count"),
    [
        (RayCluster(), {"CPU": 8}, 8),
        (RayCluster(cpus=3), {"CPU": 8}, 2),
        (RayCluster(gpus=0.25), {"CPU": 64, "GPU": 2}, 8),
        (RayCluster(gpus=0.25), {"CPU": 4, "GPU": 2}, 4),
        (RayCluster(workers=3), {}, 3),
    ],
)
def test_workers_fill_the_cluster(
    cluster: RayCluster, resources: dict[str, float], count: int
) -> None:
    assert cluster.count_workers(resources) == count


def test_a_cluster_without_room() -> None:
    with pytest.raises(EngineError, match="has 2 CPU and 0 GPU, which is too little"):
        RayCluster(gpus=1).count_workers({"CPU": 2})


def test_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(SettingsError, match=r"pip install 'trawl-multimodal\[ray\]'"),
        joined(RayCluster(address="auto")),
    ):
        pass


def test_reason_is_the_last_line() -> None:
    assert reason_of(ValueError("Traceback:\n  frames\nKeyError: 'x'.\n")) == "KeyError: 'x'"
    assert reason_of(ValueError()) == "ValueError"
