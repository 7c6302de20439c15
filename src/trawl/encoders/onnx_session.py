"""Networks on ONNX Runtime. The families above hand arrays over and get arrays back."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.lazy import Once
from trawl.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from onnxruntime import InferenceSession

Arrays = Mapping[str, NDArray[Any]]


class Network(Protocol):
    """A tower's forward pass, whichever runtime does it."""

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Give float32 [N, ...] for arrays of N rows, by name.

        A name that the network does not know is left out, so that one family feeds
        graphs with and without an attention mask. Safe to call from several threads.
        """
        ...


class OnnxNetwork:
    """A graph file, opened at the first run.

    `renamed` maps the names that the families use (`input_ids`, `attention_mask`,
    `pixel_values`, `input_features`) to the graph's, where they differ; `output` names
    the output to take, the first where it is empty. CUDA is used where
    ``onnxruntime-gpu`` is installed and finds a device. `told` hears how many seconds the
    opening took.
    """

    def __init__(
        self,
        path: Callable[[], Path],
        *,
        output: str = "",
        renamed: Mapping[str, str] | None = None,
        threads: int | None = None,
        told: Callable[[float], None] | None = None,
    ) -> None:
        self._output, self._renamed = output, dict(renamed or {})
        self._session = Once(lambda: _opened(path(), threads), told)

    def run(self, feeds: Arrays) -> NDArray[np.float32]:
        """Give the graph's output, float32 [N, ...]. Raises `ModelError` for a foreign graph."""
        session = self._session()
        given = {self._renamed.get(name, name): array for name, array in feeds.items()}
        wanted = {node.name: node.type for node in session.get_inputs()}
        missing = [name for name in wanted if name not in given]
        if missing:
            raise ModelError(
                f"the graph wants {', '.join(missing)}, and its family gives "
                f"{', '.join(given)}; rename them on the card, under `inputs`"
            )
        outputs = [self._output] if self._output else [session.get_outputs()[0].name]
        cast = {
            name: given[name].astype(_DTYPES[kind], copy=False) for name, kind in wanted.items()
        }
        return np.asarray(session.run(outputs, cast)[0], dtype=np.float32)


_DTYPES: Mapping[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(uint8)": np.uint8,
}


def _opened(path: Path, threads: int | None) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or min(8, os.cpu_count() or 1)
    options.inter_op_num_threads = 1
    # The arena and the memory patterns keep the largest batch of every shape for ever.
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    # Threads that spin while they wait would take the processor from the search beside them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    available = onnxruntime.get_available_providers()
    wished = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wished if name in available]
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ModelError(
            f"the graph {path} cannot be opened by ONNX Runtime: {error}; install it again"
        ) from error
    _return_freed_memory()
    return session


def _return_freed_memory() -> None:
    """Return to the system what opening a graph freed: twice the graph's size and more.

    glibc keeps it for later otherwise. Other C libraries have no such call.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
