"""Encoders of the caller's own: `Library(..., encoders=[...])`.

An encoder has `modality`, `space` and `encode`; encoders with the same space are one model. All
else is optional: `encode_queries`, `prepare` and `run` (`trawl.encoders.base` has the protocols),
and of text `max_tokens`, `token_spans`, `tokens_cut` and `tasks`. `batch` is the number of items
per call, 16 if absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trawl.encoders.base import Encoder, Lazy, StagedEncoder, unit
from trawl.encoders.cards import Card, Tower
from trawl.encoders.registry import PROFILES, Model, load_model, model_names
from trawl.errors import ModelError, TrawlError, UsageError
from trawl.types import MODALITIES, Modality, Passage, Question, Space, Vectors

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_BATCH = 16
FAMILY = "own"

_Text = TypeVar("_Text", bound=str)

_counting = Lazy(lambda: load_model("mini").text)
"""Its tokenizer counts the tokens of encoders that have none."""


def own_models(encoders: Sequence[Encoder]) -> dict[str, Model]:
    """Return a model for each space of encoders, by name, in their order.

    Raises `UsageError` if one is no encoder, if its name is taken, or if two do not fit together.
    """
    if not isinstance(encoders, list | tuple):
        raise UsageError(f"encoders must be a list of encoders, not {type(encoders).__name__}")
    found: dict[str, dict[Modality, Encoder]] = {}
    for encoder in encoders:
        _check(encoder)
        towers = found.setdefault(encoder.space.name, {})
        other = next(iter(towers.values()), encoder)
        if other.space != encoder.space or encoder.modality in towers:
            raise UsageError(
                f"two encoders of the space {encoder.space.name!r} have the same modality or "
                "another dimension or fingerprint; give the spaces different names"
            )
        towers[encoder.modality] = encoder
    models = {name: _model(towers) for name, towers in found.items()}
    fingerprints = [model.space.fingerprint for model in models.values()]
    if len(set(fingerprints)) < len(fingerprints):
        raise UsageError("two spaces have the same fingerprint, by which vectors are compared")
    return models


def _model(encoders: Mapping[Modality, Encoder]) -> Model:
    towers = {
        modality: Tower(
            modality,
            Path(),
            files={},
            options={"tasks": tuple(getattr(encoder, "tasks", ()))},
            batch=getattr(encoder, "batch", None) or _BATCH,
        )
        for modality, encoder in encoders.items()
    }
    space = next(iter(encoders.values())).space
    given = {
        modality: OwnText(encoder) if modality == "text" else Own(encoder)
        for modality, encoder in encoders.items()
    }
    return Model(Card(space.name, FAMILY, "", space, towers, {}), given)


def completed(model: Model | None, space: Space, modalities: Sequence[Modality]) -> Model:
    """Return the model of a space with encoders of all `modalities`, some of which may be missing.

    `model` has the encoders that are given.
    """
    card = model.card if model is not None else Card(space.name, FAMILY, "", space, {}, {})
    given = model.given if model is not None else {}
    return Model(card, {m: given.get(m) or MissingEncoder(m, space) for m in modalities})


def check_complete(models: Iterable[Model]) -> None:
    """Raise `ModelError` if an encoder of a model is not given."""
    for model in models:
        for encoder in model.encoders.values():
            if isinstance(encoder, MissingEncoder):
                raise encoder.error()


def _check(encoder: object) -> None:
    """Raise `UsageError` unless an object has the attributes of an encoder."""
    kind = type(encoder).__name__
    lacking = [name for name in ("modality", "space", "encode") if not hasattr(encoder, name)]
    if lacking or not isinstance(encoder, Encoder):
        raise UsageError(
            f"{kind} is not an encoder: it has no {', '.join(lacking)} (see trawl.encoders.Encoder)"
        )
    space = encoder.space
    if encoder.modality not in MODALITIES:
        raise UsageError(f"the modality of {kind} is {encoder.modality!r}, not one of {MODALITIES}")
    if not isinstance(space, Space):
        raise UsageError(f"the space of {kind} must be a trawl.types.Space, not {space!r}")
    typed = [type(field) for field in (space.name, space.dimension, space.fingerprint)]
    if (
        typed != [str, int, str]
        or not _NAME.fullmatch(space.name)
        or space.dimension < 1
        or not space.fingerprint
    ):
        raise UsageError(
            f"the space of {kind} is {space}; its name consists of letters, digits, '.', '_' and "
            "'-', its dimension is an int above 0, and its fingerprint is text"
        )
    for name in ("batch", "max_tokens"):
        value = getattr(encoder, name, None)
        if value is not None and (type(value) is not int or value < 1):
            raise UsageError(f"{name} of {kind} is {value!r}, not an int above 0")
    if space.name in (*PROFILES, *model_names()):
        raise UsageError(f"{space.name!r} is the name of a model of Trawl; choose another name")


@dataclass(frozen=True, slots=True)
class _Input:
    """A prepared item: its windows, and the weight of each one's vector."""

    windows: Sequence[Any]
    weights: Sequence[float] = (1.0,)
    query: bool = False


class Own:
    """An encoder of the caller's, in two stages. Vectors are checked and scaled to length 1."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.modality: Modality = encoder.modality
        self.space = encoder.space
        self._staged = encoder if isinstance(encoder, StagedEncoder) else None
        self._batch: int = getattr(encoder, "batch", None) or _BATCH

    def prepare(self, item: Any, *, query: bool = False) -> _Input:
        """Return the input of `run` for one item."""
        if self._staged is not None:
            with self._named():
                item = self._staged.prepare(item, query=query)
        return _Input([item], query=query)

    def run(self, prepared: Sequence[_Input]) -> Vectors:
        """Return float32 [len(prepared), D] unit vectors. Raises `ModelError`."""
        out = np.zeros((len(prepared), self.space.dimension), np.float32)
        for query in (True, False):
            windows = [
                (row, window, weight)
                for row, one in enumerate(prepared)
                if one.query == query
                for window, weight in zip(one.windows, one.weights, strict=True)
            ]
            for start in range(0, len(windows), self._batch):
                part = windows[start : start + self._batch]
                vectors = self._vectors([window for _, window, _ in part], query)
                for (row, _, weight), vector in zip(part, vectors, strict=True):
                    out[row] += np.float32(weight) * vector
        return unit(out)

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Return float32 [len(items), D] unit vectors of documents. Raises `ModelError`."""
        return self.run([self.prepare(item) for item in items])

    def _vectors(self, items: Sequence[Any], query: bool) -> Vectors:
        encode: Callable[[Sequence[Any]], Any] = self.encoder.encode
        if self._staged is not None:
            encode = self._staged.run
        elif query:
            encode = getattr(self.encoder, "encode_queries", encode)
        with self._named():
            vectors: NDArray[np.float32] = np.asarray(encode(items), np.float32)
        if vectors.shape != (len(items), self.space.dimension) or not np.isfinite(vectors).all():
            raise ModelError(
                f"the encoder {self.space.name} returned an array of shape {vectors.shape} for "
                f"{len(items)} items; expected finite numbers of shape "
                f"{(len(items), self.space.dimension)}"
            )
        return unit(vectors)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Raise what the encoder raises as `ModelError` with its name."""
        try:
            yield
        except TrawlError:
            raise
        except Exception as error:
            raise ModelError(
                f"the encoder {self.space.name} failed: {type(error).__name__}: {error}"
            ) from error


class OwnText(Own):
    """A text encoder of the caller's.

    A document of more than `max_tokens` is split into windows of equal length, whose vectors are
    averaged; a query is truncated. Tokens are those of `mini` if the encoder has no `token_spans`.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.max_tokens: int | None = getattr(encoder, "max_tokens", None)

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Return int64 [T, 2], the start and end character of each token."""
        spans = getattr(self.encoder, "token_spans", None) or _counting().token_spans
        with self._named():
            return np.asarray(spans(text), np.int64).reshape(-1, 2)

    def tokens_cut(self, text: str) -> int:
        """Return the number of tokens that are truncated from a query."""
        count: Callable[[str], int] | None = getattr(self.encoder, "tokens_cut", None)
        if count is not None:
            return count(text)
        return 0 if self.max_tokens is None else max(0, len(self._spans(text)) - self.max_tokens)

    def prepare(self, item: str, *, query: bool = False) -> _Input:
        """Return the input of `run` for one text."""
        spans = self._spans(item)
        limit = self.max_tokens
        if self._staged is not None or limit is None or len(spans) <= limit:
            return super().prepare(item, query=query)
        if query:
            return super().prepare(_part(item, 0, int(spans[limit - 1, 1])), query=True)
        bounds = np.linspace(0, len(spans), -(-len(spans) // limit) + 1).astype(int)
        edges = [0, *(int(spans[bound, 0]) for bound in bounds[1:-1]), len(item)]
        windows = [_part(item, start, end) for start, end in pairwise(edges)]
        return _Input(windows, np.diff(bounds).tolist())

    def _spans(self, text: str) -> NDArray[np.int64]:
        """Return the tokens of a text that may exceed the limit; none of one that does not."""
        if self.max_tokens is None or len(text) <= self.max_tokens:
            return np.zeros((0, 2), np.int64)
        return self.token_spans(text)


def _part(text: _Text, start: int, end: int) -> str:
    """Return a part of a text, with its title or its task."""
    part = text[start:end]
    if isinstance(text, Passage):
        return Passage(part, text.title_line)
    return Question(part, text.task) if isinstance(text, Question) else part


class MissingEncoder:
    """Stands for an encoder that a library was created with and is opened without."""

    max_tokens: int | None = None

    def __init__(self, modality: Modality, space: Space) -> None:
        self.modality, self.space = modality, space

    def encode(self, items: Sequence[Any]) -> Vectors:
        """Raise `ModelError`."""
        raise self.error()

    def token_spans(self, text: str) -> NDArray[np.int64]:
        """Raise `ModelError`."""
        raise self.error()

    def error(self) -> ModelError:
        """Return the error that names what is missing."""
        space = self.space
        return ModelError(
            f"the library was created with an encoder of its own, {space.name} ({self.modality}, "
            f"{space.dimension} dimensions, fingerprint {space.fingerprint!r}), which is not "
            "given; open it from Python with Library(..., encoders=[...])"
        )
