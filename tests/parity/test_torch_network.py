"""The transformers backend as far as it goes without a GPU: memory, precision, what is kept.

That a batch which does not fit is halved can only be played here: what raises is torch's own
error, and everything else is what runs on CUDA too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from trawl.encoders import torch_network
from trawl.encoders.base import unit
from trawl.encoders.torch_network import TorchNetwork, load_module

from .conftest import Case

torch = pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(600)

_PIXELS = np.random.default_rng(1).normal(size=(21, 3, 224, 224)).astype(np.float32)


def _network(case: Case) -> TorchNetwork:
    tower = case.torch.card.towers["image"]
    return TorchNetwork(case.checkpoint, "clip", "image", lambda: tower.path("model.safetensors"))


def test_a_batch_that_does_not_fit_is_halved(
    case_of: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = _network(case_of("clip"))
    whole = network.run({"pixel_values": _PIXELS})
    forward, sizes = torch_network._forward, list[int]()

    def small(module: Any, device: Any, arrays: list[NDArray[Any]]) -> NDArray[np.float32]:
        sizes.append(len(arrays[0]))
        if len(arrays[0]) > 6:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return forward(module, device, arrays)

    monkeypatch.setattr(torch_network, "_forward", small)
    halved = network.run({"pixel_values": _PIXELS})
    assert sizes == [21, 10, 5, 5, 11, 5, 6]
    assert np.allclose(halved, whole, atol=1e-4)


def test_one_item_that_does_not_fit_says_so(
    case_of: Callable[[str], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> NDArray[np.float32]:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch_network, "_forward", never)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        _network(case_of("clip")).run({"pixel_values": _PIXELS[:2]})


def test_half_precision_gives_nearly_the_same(case_of: Callable[[str], Case]) -> None:
    checkpoint = case_of("clip").checkpoint
    cpu = torch.device("cpu")
    found = [
        torch_network._forward(
            load_module(checkpoint, "clip", "image").to(dtype=dtype), cpu, [_PIXELS]
        )
        for dtype in (torch.float32, torch.bfloat16)
    ]
    full, half = map(unit, found)
    assert half.dtype == np.float32
    assert not np.array_equal(full, half)
    assert np.min(np.sum(full * half, axis=1)) > 0.995


@pytest.mark.parametrize(
    ("family", "modality", "other"),
    [("clip", "image", "text"), ("siglip2", "text", "vision"), ("clap", "audio", "text")],
)
def test_only_the_half_that_runs_is_kept(
    case_of: Callable[[str], Case], family: str, modality: Any, other: str
) -> None:
    module = load_module(case_of(family).checkpoint, family.rstrip("2"), modality)
    names = {name for name, _ in module.named_parameters()}
    assert names
    assert not any(f"{other}_model" in name for name in names)
