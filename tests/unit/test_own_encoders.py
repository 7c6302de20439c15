"""Encoders of the caller's own: what is accepted, and how their calls are completed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from trawl.encoders import Model, TextEncoder, encode_queries, own_models, tokens_cut
from trawl.encoders.own import OwnText
from trawl.errors import ModelError, OverloadedError, UsageError
from trawl.types import Modality, Passage, Question, Space


class Letters:
    """Counts the letters a to d of texts, and records its calls."""

    def __init__(self, name: str = "letters", modality: Modality = "text", **more: Any) -> None:
        self.modality = modality
        self.space = Space(name, 4, f"{name} 1")
        self.calls: list[list[Any]] = []
        vars(self).update(more)

    def encode(self, items: Sequence[str]) -> Any:
        self.calls.append(list(items))
        return [[item.count(letter) for letter in "abcd"] for item in items]


class Prompted(Letters):
    def encode_queries(self, items: Sequence[str]) -> Any:
        return self.encode([f"{getattr(item, 'task', '')}? {item}" for item in items])


def _words(text: str) -> list[tuple[int, int]]:
    starts = [n for n in range(len(text)) if text[n] != " " and (n == 0 or text[n - 1] == " ")]
    return [(start, start + len(text[start:].split(" ")[0])) for start in starts]


def model_of(*encoders: Any) -> Model:
    (model,) = own_models(encoders).values()
    return model


def test_one_space_is_one_model_whose_vectors_have_length_1() -> None:
    letters = Letters()
    model = model_of(letters, Letters(modality="image"))
    assert model.space == letters.space
    assert list(model.encoders) == ["text", "image"]
    assert model.source("image") == "letters.image"
    assert isinstance(model.text, TextEncoder)
    vectors = model.text.encode(["aab", "d"])
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [[0.8944272, 0.4472136, 0, 0], [0, 0, 0, 1]])
    assert model.text.encode([]).shape == (0, 4)
    assert not model.text.encode(["x"]).any(), "no direction, which `add` reports"


def test_queries_have_their_prompt_and_their_task() -> None:
    prompted = Prompted(tasks=("code",))
    model = model_of(prompted)
    assert model.tasks == ("code",)
    encode_queries(model.text, [Question("ab", "code")])
    model.text.encode(["ab"])
    assert prompted.calls == [["code? ab"], ["ab"]]


def test_calls_have_at_most_a_batch() -> None:
    letters = Letters(batch=3)
    model = model_of(letters)
    model.text.encode(["a"] * 7)
    assert [len(call) for call in letters.calls] == [3, 3, 1]
    letters.calls.clear()
    encode_queries(model.text, ["a"] * 7)
    assert [len(call) for call in letters.calls] == [3, 3, 1]


def test_a_long_document_is_split_and_a_long_query_truncated() -> None:
    letters = Letters(max_tokens=4, token_spans=_words)
    model = model_of(letters)
    assert model.text.max_tokens == 4
    text = "a a a a a a b b b"
    vector = model.text.encode([Passage(text, "a title")])[0]
    assert letters.calls == [["a a a ", "a a a ", "b b b"]]
    assert [one.title_line for one in letters.calls[0]] == ["a title"] * 3
    assert np.allclose(vector, np.array([2, 1, 0, 0]) / np.sqrt(5))
    letters.calls.clear()
    encode_queries(model.text, [Question(text, "code")])
    assert letters.calls == [["a a a a"]]
    assert letters.calls[0][0].task == "code"
    assert (tokens_cut(model.text, text), tokens_cut(model.text, "a b")) == (5, 0)


def test_windows_weigh_as_many_tokens_as_they_have() -> None:
    letters = Letters(max_tokens=3, token_spans=_words)
    vector = model_of(letters).text.encode(["a a b b b"])[0]
    assert letters.calls == [["a a ", "b b b"]]
    assert np.allclose(vector, np.array([2, 3, 0, 0]) / np.sqrt(13))


def test_tokens_are_counted_by_mini_if_the_encoder_does_not() -> None:
    model = model_of(Letters(max_tokens=2))
    spans = model.text.token_spans("muon 一只狗")
    assert spans.dtype == np.int64
    assert spans.tolist()[-3:] == [[5, 6], [6, 7], [7, 8]]
    assert tokens_cut(model.text, "one two three") == 1
    assert tokens_cut(model_of(Letters()).text, "one two three") == 0
    assert tokens_cut(model_of(Letters(tokens_cut=lambda text: 7)).text, "one") == 7


def test_an_encoder_in_two_stages_prepares_its_own_items() -> None:
    class Staged(Letters):
        def prepare(self, item: str, *, query: bool = False) -> str:
            return item + "d" * (3 if query else 1)

        def run(self, prepared: Sequence[str]) -> Any:
            return self.encode(prepared)

    staged = Staged(max_tokens=1, token_spans=_words)
    model = model_of(staged)
    model.text.encode(["a a"])
    encode_queries(model.text, ["a a"])
    assert staged.calls == [["a ad"], ["a addd"]]


@pytest.mark.parametrize("answer", [[[1, 2, 3]], [1, 2, 3, 4], [], [[np.nan] * 4], [["x"] * 4]])
def test_a_wrong_answer_is_refused(answer: Any) -> None:
    letters = Letters(encode=lambda items: answer)
    for encode in (model_of(letters).text.encode, OwnText(letters).encode):
        with pytest.raises(ModelError, match="the encoder letters"):
            encode(["a"])


def test_a_failure_is_named_and_trawls_own_errors_are_kept() -> None:
    def fail(error: Exception) -> Any:
        raise error

    dead = Letters(encode=lambda items: fail(ConnectionError("refused")))
    with pytest.raises(ModelError, match="the encoder letters failed: ConnectionError: refused"):
        encode_queries(model_of(dead).text, ["a"])
    model = model_of(Letters(max_tokens=1, token_spans=lambda text: fail(KeyError("vocabulary"))))
    with pytest.raises(ModelError, match="the encoder letters failed: KeyError"):
        encode_queries(model.text, ["a a"])
    busy = Letters(encode=lambda items: fail(OverloadedError("busy")))
    with pytest.raises(OverloadedError):
        encode_queries(model_of(busy).text, ["a"])


def _space(**changes: Any) -> Any:
    return type("Own", (Letters,), {})(space=Space(**{**_PLAIN, **changes}))


_PLAIN = {"name": "own", "dimension": 4, "fingerprint": "1"}


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        (Letters(), "must be a list"),
        ("mini", "must be a list"),
        ([5], "int is not an encoder: it has no modality, space, encode"),
        ([type("Half", (), {"modality": "text", "encode": 1})()], "Half .* has no space"),
        ([Letters(modality="video")], "'video'"),  # type: ignore[arg-type]
        ([Letters(space="letters")], "must be a trawl.types.Space"),
        ([_space(name="a,b")], "letters, digits"),
        ([_space(name="a/b")], "letters, digits"),
        ([_space(name="")], "letters, digits"),
        ([_space(name=5)], "letters, digits"),
        ([_space(fingerprint="")], "fingerprint is text"),
        ([_space(fingerprint=1)], "fingerprint is text"),
        ([_space(dimension=np.int64(4))], "an int above 0"),
        ([_space(dimension=0)], "above 0"),
        ([Letters(batch=0)], "batch of Letters is 0"),
        ([Letters(max_tokens=8.5)], "max_tokens of Letters is 8.5"),
        ([_space(name="mini")], "'mini' is the name of a model"),
        ([_space(name="standard")], "'standard' is the name of a model"),
        ([Letters(), Letters()], "the same modality"),
        ([_space(), _space(dimension=5)], "different names"),
        ([_space(), _space(name="other")], "the same fingerprint"),
    ],
)
def test_what_is_no_encoder_is_refused(encoders: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        own_models(encoders)
