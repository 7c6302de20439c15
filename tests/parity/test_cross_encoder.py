"""A cross-encoder gives the logits that transformers gives for the same pairs and weights."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from trawl.encoders import load_reranker
from trawl.encoders.cards import load_card
from trawl.encoders.cross_encoder import CrossEncoder

torch = pytest.importorskip("torch", reason="no torch: `make parity` installs it")
pytest.importorskip("transformers", reason="no transformers: `make parity` installs it")
pytest.importorskip("onnxscript", reason="no onnxscript: `make parity` installs it")

pytestmark = pytest.mark.timeout(300)

MAX_TOKENS = 64
QUERIES = ["muon decay", "two dogs run over a field", "rain on a tin roof, thunder"]

CARDS = {
    "bert": "prefix_ids = [2]\nseparator_ids = [3]\nsuffix_ids = [3]\npad_id = 0\n",
    "roberta": (
        "prefix_ids = [0]\nseparator_ids = [2, 2]\nsuffix_ids = [2]\npad_id = 1\n"
        "second_type_id = 0\n"
    ),
}


class Case(NamedTuple):
    ours: CrossEncoder
    tokenizer: Any
    model: Any


def _made(family: str, folder: Path) -> tuple[Any, Any]:
    """A small checkpoint for pairs, with random weights, and its own tokenizer."""
    from transformers import (
        AutoTokenizer,
        BertConfig,
        BertForSequenceClassification,
        RobertaConfig,
        RobertaForSequenceClassification,
        RobertaTokenizer,
    )

    from . import small

    sizes = {
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_labels": 1,
        "max_position_embeddings": MAX_TOKENS + 2,
    }
    if family == "bert":
        tokenizer = AutoTokenizer.from_pretrained(small.bert(folder, "cls"))
        model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **sizes))
    else:
        folder.mkdir()
        raw = small.byte_level(folder, 500, start="<s>", end="</s>", pad="<pad>")
        words = json.loads(raw.to_str())["model"]
        tokenizer = RobertaTokenizer(
            vocab=words["vocab"], merges=[tuple(merge) for merge in words["merges"]]
        )
        model = RobertaForSequenceClassification(
            RobertaConfig(vocab_size=500, pad_token_id=1, type_vocab_size=1, **sizes)
        )
    return tokenizer, small.randomise(model, seed=6)


@pytest.fixture(scope="module", params=list(CARDS))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    family: str = request.param
    folder = tmp_path_factory.mktemp(family)
    tokenizer, model = _made(family, folder / "checkpoint")
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if family == "bert" else [])
    ids = torch.full((2, 16), 5, dtype=torch.int64)
    example = (ids, torch.ones_like(ids), torch.zeros_like(ids))[: len(names)]
    axes = {0: torch.export.Dim("rows"), 1: torch.export.Dim("tokens", min=2)}

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *arrays: Any) -> Any:
            return self.model(**dict(zip(names, arrays, strict=True))).logits

    with torch.no_grad():
        torch.onnx.export(
            Logits().eval(),
            example,
            folder / "pair.onnx",
            input_names=names,
            output_names=["logits"],
            dynamo=True,
            dynamic_shapes=(tuple(axes for _ in names),),
            external_data=False,
            verbose=False,
        )
    write_card(folder, "pair", CARDS[family], "pair.onnx")
    shutil.rmtree(folder / "checkpoint")
    return Case(load_reranker(str(folder)), tokenizer, model)


def write_card(folder: Path, name: str, special: str, graph: str) -> None:
    digests = {
        file: hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for file in (graph, "tokenizer.json")
    }
    files = "".join(f'"{file}" = "{digest}"\n' for file, digest in digests.items())
    (folder / "card.toml").write_text(
        f'name = "{name}"\nfamily = "cross-encoder"\nlicence = "CC0-1.0"\npreprocessing = 1\n'
        f'[text]\ngraph = "{graph}"\nmax_tokens = {MAX_TOKENS}\n{special}[text.files]\n{files}',
        "utf-8",
    )


def passages() -> list[str]:
    from .small import SENTENCES

    return [
        *SENTENCES,
        "muon",
        "",
        "日本 😀 muon",
        "  white   space\nand lines ",
        # Longer than a pair has room for: its end is cut off.
        " ".join(SENTENCES) * 3,
    ]


def reference(case: Case, query: str, texts: list[str]) -> np.ndarray:
    found = []
    for text in texts:
        with torch.no_grad():
            fed = case.tokenizer(
                [query],
                [text],
                truncation="only_second",
                max_length=MAX_TOKENS,
                return_tensors="pt",
            )
            found.append(float(case.model(**fed).logits[0, 0]))
    return np.array(found, np.float32)


@pytest.mark.parametrize("query", QUERIES)
def test_logits_are_those_of_transformers(case: Case, query: str) -> None:
    expected = reference(case, query, passages())
    assert expected.std() > 0.05, "all pairs are alike to the reference: agreement means nothing"
    np.testing.assert_allclose(case.ours.logits(query, passages()), expected, atol=2e-4)


def test_a_pair_has_one_score_in_any_batch(case: Case) -> None:
    together = case.ours.logits(QUERIES[0], passages())
    alone = [float(case.ours.logits(QUERIES[0], [text])[0]) for text in passages()]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert case.ours.logits(QUERIES[0], []).shape == (0,)


def test_a_query_keeps_half_of_the_room(case: Case) -> None:
    long = "muon decay thunder " * 50
    before = case.ours.logits(long, ["rain on a roof"])
    assert before == pytest.approx(case.ours.logits(long + "and the rest", ["rain on a roof"]))
    assert before != pytest.approx(case.ours.logits(long, ["two dogs"]), abs=1e-3)


@pytest.mark.parametrize("wrong", ["separator_ids", "second_type_id"])
def test_a_card_that_is_wrong_in_one_line_does_not_agree(
    case: Case, tmp_path: Path, wrong: str
) -> None:
    card = load_card(case.ours.directory / "card.toml")
    options = dict(card.towers["text"].options)
    if wrong == "second_type_id" and options.get("second_type_id") == 0:
        pytest.skip("this family has one type of tokens alone")
    options[wrong] = [5] if wrong == "separator_ids" else 0
    tower = replace(card.towers["text"], options=options)
    broken = CrossEncoder(replace(card, towers={"text": tower}))
    expected = reference(case, QUERIES[0], passages())
    assert np.abs(broken.logits(QUERIES[0], passages()) - expected).max() > 0.01
