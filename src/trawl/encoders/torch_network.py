"""Networks on transformers (the extra `trawl-multimodal[torch]`): any checkpoint of the families.

On CUDA in bfloat16, elsewhere in float32. A batch that does not fit the device's memory is
halved until it does.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.lazy import Once
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
"""What a tower's `forward` takes, in its order."""


_HALF: dict[Modality, str] = {"text": "text", "image": "vision", "audio": "audio"}
_HALVES = set(_HALF.values())


def inputs_of(family: str, modality: Modality) -> tuple[str, ...]:
    """Name what a tower takes. SigLIP was trained without a mask of its padding."""
    return ("input_ids",) if (family, modality) == ("siglip", "text") else INPUTS[modality]


def load_module(directory: Path, family: str, modality: Modality) -> torch.nn.Module:
    """Give one tower of a checkpoint, whose `forward` takes `inputs_of` and gives one tensor.

    float32 [N, D], or [N, T, D] for a sentence encoder, whose states are pooled outside.
    Raises `ModelError` where the extra is missing or the checkpoint cannot be loaded.
    """
    try:
        import torch
        from transformers import AutoModel
    except ImportError as error:
        raise ModelError(
            f"running a checkpoint takes torch and transformers ({error}); "
            "install them with `pip install 'trawl-multimodal[torch]'`"
        ) from error

    class Tower(torch.nn.Module):  # type: ignore[misc]  # torch is not there to be checked
        def __init__(self) -> None:
            super().__init__()
            self.network = AutoModel.from_pretrained(directory, local_files_only=True)
            for name in _HALVES - {_HALF[modality]}:
                # Half of a checkpoint is the other tower's, up to gigabytes of it.
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
            found = self.network.get_text_features(input_ids=first, attention_mask=mask)
            return found.pooler_output

    try:
        return Tower().eval()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(f"transformers cannot load the checkpoint {directory}: {error}") from error


class TorchNetwork:
    """One tower of a checkpoint, loaded at the first run.

    `checked` is called before: it raises `ModelError` where the weights are not the card's.
    `told` hears how many seconds the loading took.
    """

    def __init__(
        self,
        directory: Path,
        family: str,
        modality: Modality,
        checked: Callable[[], Path],
        told: Callable[[float], None] | None = None,
    ) -> None:
        self._inputs = inputs_of(family, modality)

        def load() -> tuple[torch.nn.Module, torch.device]:
            checked()
            module = load_module(directory, family, modality)
            import torch

            device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
            return module.to(device=device, dtype=dtype), device

        self._loaded = Once(load, told)

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Give float32 [N, ...]; see `trawl.encoders.onnx_session.Network`."""
        import torch

        module, device = self._loaded()
        arrays = [feeds[name] for name in self._inputs]
        try:
            return _forward(module, device, arrays)
        except torch.cuda.OutOfMemoryError:
            if len(arrays[0]) == 1:
                raise
        # Outside the handler, whose traceback would keep what the failed batch allocated.
        torch.cuda.empty_cache()
        middle = len(arrays[0]) // 2
        halves = (slice(None, middle), slice(middle, None))
        return np.concatenate(
            [
                self.run({name: a[half] for name, a in zip(self._inputs, arrays, strict=True)})
                for half in halves
            ]
        )


def _forward(
    module: torch.nn.Module, device: torch.device, arrays: list[NDArray[Any]]
) -> NDArray[np.float32]:
    import torch

    dtype = next(module.parameters()).dtype
    tensors = [torch.from_numpy(array).to(device) for array in arrays]
    tensors = [t.to(dtype) if t.is_floating_point() else t for t in tensors]
    with torch.inference_mode():
        found: NDArray[np.float32] = module(*tensors).float().cpu().numpy()
    return found
