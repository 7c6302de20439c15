"""Networks that run on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trawl.encoders import base
from trawl.encoders.base import Lazy
from trawl.errors import ModelError
from trawl.native import return_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxruntime import InferenceSession

Arrays = Mapping[str, NDArray[Any]]


class Network(Protocol):
    """The forward pass of a tower, on any runtime."""

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Return float32 [N, ...] for input arrays of N rows, by name.

        Names that the network does not know are ignored, so that a family can run graphs
        with and without an attention mask. Thread-safe.
        """
        ...

    def on_gpu(self) -> bool:
        """Return whether it runs on a GPU, where a call costs more than padding. Loads it."""
        ...


class OnnxNetwork:
    """An ONNX graph, loaded at the first run.

    `renamed` maps the input names of the families (`input_ids`, `attention_mask`,
    `pixel_values`, `input_features`) to the graph's. `output` names the output to return;
    the first if empty. CUDA is used if ``onnxruntime-gpu`` is installed and finds a
    device. `on_load` is called with the seconds that loading took.
    """

    def __init__(
        self,
        path: Callable[[], Path],
        *,
        output: str = "",
        renamed: Mapping[str, str] | None = None,
        threads: int | None = None,
        on_load: Callable[[float], None] | None = None,
    ) -> None:
        self._output, self._renamed = output, dict(renamed or {})
        self._session = Lazy(lambda: _load(path(), threads), on_load)

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Return the graph's output, float32 [N, ...]. Raises `ModelError` for missing inputs."""
        session = self._session()
        inputs = {self._renamed.get(name, name): array for name, array in feeds.items()}
        types = {node.name: node.type for node in session.get_inputs()}
        missing = [name for name in types if name not in inputs]
        if missing:
            raise ModelError(
                f"the graph needs the inputs {', '.join(missing)}, but its family provides "
                f"{', '.join(inputs)}; map the names on the card, under `inputs`"
            )
        outputs = [self._output] if self._output else [session.get_outputs()[0].name]
        cast = {
            name: inputs[name].astype(_DTYPES[kind], copy=False) for name, kind in types.items()
        }
        return np.asarray(session.run(outputs, cast)[0], dtype=np.float32)

    def on_gpu(self) -> bool:
        """Return whether ONNX Runtime uses CUDA. Loads the graph."""
        return "CUDAExecutionProvider" in self._session().get_providers()


_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
}


def _load(path: Path, threads: int | None) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or base.threads()
    options.inter_op_num_threads = 1
    # The arena and the memory patterns would hold the largest batch of every shape forever.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Waiting threads that spin would take CPU time from concurrent searches.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    preferred = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in preferred if name in available]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ModelError(
            f"ONNX Runtime cannot load the graph {path}: {error}; install the model again"
        ) from error
    return_freed_memory()  # opening a graph frees twice its size and more
    return session
