"""Networks that run on transformers, for checkpoints of any family.

They require the extra `trawl-multimodal[torch]`, and run in bfloat16 on CUDA and in float32
elsewhere. A batch that exceeds the device's memory is halved until it fits.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Lazy
from trawl.encoders.onnx_session import Arrays
from trawl.errors import ModelError
from trawl.types import Modality

if TYPE_CHECKING:
    import torch

INPUTS: dict[Modality, tuple[str, ...]] = {
    "text": ("input_ids", "attention_mask"),
    "image": ("pixel_values",),
    "audio": ("input_features",),
}
"""The arguments of a tower's `forward`, in order."""

_SUBMODELS: dict[Modality, str] = {"text": "text", "image": "vision", "audio": "audio"}


def inputs_of(family: str, modality: Modality) -> tuple[str, ...]:
    """Return a tower's input names. SigLIP was trained without an attention mask."""
    if family == "omni":
        from trawl.encoders.torch_omni import INPUTS as OMNI

        return OMNI[modality]
    if family in ("late", "late-qwen"):
        from trawl.encoders.torch_late import INPUTS as LATE

        return LATE[family, modality]
    return ("input_ids",) if (family, modality) == ("siglip", "text") else INPUTS[modality]


def load_module(directory: Path, family: str, modality: Modality) -> torch.nn.Module:
    """Load one tower of a checkpoint, a module that takes `inputs_of` and returns one tensor.

    The tensor is float32 [N, D], or [N, T, D] for a sentence encoder, whose states the
    caller pools. Raises `ModelError` if the extra is not installed or loading fails.
    """
    try:
        import torch
        from transformers import AutoModel
    except ImportError as error:
        raise ModelError(
            f"running a checkpoint requires torch and transformers ({error}); "
            "install them with `pip install 'trawl-multimodal[torch]'`"
        ) from error

    class Tower(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self) -> None:
            super().__init__()
            self.network = AutoModel.from_pretrained(directory, local_files_only=True)
            for name in set(_SUBMODELS.values()) - {_SUBMODELS[modality]}:
                # The other tower's weights, up to gigabytes.
                for part in (f"{name}_model", f"{name}_projection"):
                    if getattr(self.network, part, None) is not None:
                        setattr(self.network, part, None)
            self.network.eval().float()

        def forward(self, first: torch.Tensor, mask: torch.Tensor | None = None) -> Any:
            if family == "sentence":
                return self.network(input_ids=first, attention_mask=mask).last_hidden_state
            if modality == "image":
                return self.network.get_image_features(pixel_values=first).pooler_output
            if modality == "audio":
                return self.network.get_audio_features(input_features=first).pooler_output
            text = self.network.get_text_features(input_ids=first, attention_mask=mask)
            return text.pooler_output

    try:
        if family == "omni":
            from trawl.encoders.torch_omni import load_omni

            return load_omni(directory, modality)
        if family in ("late", "late-qwen"):
            from trawl.encoders.torch_late import load_late

            return load_late(directory, family, modality)
        return Tower().eval()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"transformers cannot load the checkpoint {directory}: {error}") from error


class TorchNetwork:
    """One tower of a checkpoint, loaded at the first run.

    `verify` is called first; it raises `ModelError` if the weights do not match the card.
    `on_load` is called with the seconds that loading took.
    """

    def __init__(
        self,
        directory: Path,
        family: str,
        modality: Modality,
        verify: Callable[[], Path],
        on_load: Callable[[float], None] | None = None,
    ) -> None:
        self._inputs = inputs_of(family, modality)

        def load() -> tuple[torch.nn.Module, torch.device]:
            verify()
            module = load_module(directory, family, modality)
            import torch

            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
            return module.to(device=device, dtype=dtype), device

        self._loaded = Lazy(load, on_load)

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Return float32 [N, ...]; see `trawl.encoders.onnx_session.Network`."""
        import torch

        module, device = self._loaded()
        arrays = [feeds[name] for name in self._inputs]
        try:
            return _forward(module, device, arrays)
        except torch.cuda.OutOfMemoryError:
            if len(arrays[0]) == 1:
                raise
        # Outside the handler: its traceback would keep the failed batch's memory alive.
        torch.cuda.empty_cache()
        return np.concatenate([self.run(half) for half in _halves(module, feeds)])

    def on_gpu(self) -> bool:
        """Return whether it runs on CUDA. Loads the weights."""
        return bool(self._loaded()[1].type == "cuda")


def _halves(module: torch.nn.Module, feeds: Arrays) -> tuple[Arrays, Arrays]:
    """Return the first and the second half of a batch."""
    split = getattr(module, "halves", None)
    if split is not None:
        halves: tuple[Arrays, Arrays] = split(feeds)
        return halves
    middle = len(next(iter(feeds.values()))) // 2
    first = {name: array[:middle] for name, array in feeds.items()}
    return first, {name: array[middle:] for name, array in feeds.items()}


def _forward(
    module: torch.nn.Module, device: torch.device, arrays: list[NDArray[Any]]
) -> NDArray[np.float32]:
    import torch

    dtype = next(module.parameters()).dtype
    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
    with torch.inference_mode():
        output: NDArray[np.float32] = module(*tensors).float().cpu().numpy()
    return output
