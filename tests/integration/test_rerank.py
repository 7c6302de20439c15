"""Reranking: a cross-encoder orders the first passages of a list, and the rest stays as it was.

The model is a small graph made here, which counts the words that a query and a passage
share: it reads the pair as a true one does, and what it thinks can be told beforehand.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from conftest import write_collection
from trawl import Library
from trawl.display import RERANK
from trawl.encoders import load_model, load_profile, load_reranker, rerankers
from trawl.errors import ModelError, UsageError
from trawl.evaluation import Question, evaluate
from trawl.types import Answer

onnx = pytest.importorskip("onnx", reason="no onnx: `make parity` installs it")

WORDS = ["muon", "decay", "a", "bread", "crust", "oven", "sand", "river", "red", "sunset"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
CARD = """
name = "shared-words"
family = "cross-encoder"
licence = "CC0-1.0"
preprocessing = 1
[text]
graph = "model.onnx"
max_tokens = 40
prefix_ids = [2]
separator_ids = [3]
suffix_ids = [3]
[text.files]
"""


def write_model(folder: Path) -> Path:
    """Logit: how many pairs of equal, known words the query and the passage have, less 1.5."""
    from onnx import TensorProto, helper
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    folder.mkdir()
    vocabulary = {word: row for row, word in enumerate([*SPECIAL, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))

    def constant(name: str, value: list[int] | float, kind: int) -> onnx.TensorProto:
        array = np.array(value)
        return helper.make_tensor(name, kind, array.shape, array.flatten().tolist())

    number = TensorProto.FLOAT
    nodes = [
        helper.make_node("Greater", ["input_ids", "specials"], ["known"]),
        helper.make_node("Cast", ["known"], ["is_word"], to=number),
        helper.make_node("Cast", ["token_type_ids"], ["second"], to=number),
        helper.make_node("Sub", ["one", "second"], ["first"]),
        helper.make_node("Mul", ["first", "is_word"], ["asked"]),
        helper.make_node("Mul", ["second", "is_word"], ["read"]),
        helper.make_node("Unsqueeze", ["asked", "axis_2"], ["asked_column"]),
        helper.make_node("Unsqueeze", ["read", "axis_1"], ["read_row"]),
        helper.make_node("Unsqueeze", ["input_ids", "axis_2"], ["ids_column"]),
        helper.make_node("Unsqueeze", ["input_ids", "axis_1"], ["ids_row"]),
        helper.make_node("Equal", ["ids_column", "ids_row"], ["same"]),
        helper.make_node("Cast", ["same"], ["equal"], to=number),
        helper.make_node("Mul", ["asked_column", "read_row"], ["pairs"]),
        helper.make_node("Mul", ["pairs", "equal"], ["shared"]),
        helper.make_node("ReduceSum", ["shared", "both_axes"], ["count"], keepdims=0),
        helper.make_node("Sub", ["count", "threshold"], ["flat"]),
        helper.make_node("Unsqueeze", ["flat", "axis_1"], ["logits"]),
    ]
    integers = TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "pair",
        [
            helper.make_tensor_value_info(name, integers, ["rows", "tokens"])
            for name in ("input_ids", "token_type_ids")
        ],
        [helper.make_tensor_value_info("logits", number, ["rows", 1])],
        [
            constant("specials", len(SPECIAL) - 1, integers),
            constant("one", 1.0, number),
            constant("threshold", 1.5, number),
            constant("axis_1", [1], integers),
            constant("axis_2", [2], integers),
            constant("both_axes", [1, 2], integers),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    files = ""
    for name in ("model.onnx", "tokenizer.json"):
        files += f'"{name}" = "{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"\n'
    (folder / "card.toml").write_text(CARD + files, "utf-8")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("reranker") / "shared-words"))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("reranked")
    write_collection(folder / "collection")
    with Library(folder / "library", create=True, freshness_s=0) as library:
        library.add(folder / "collection")
        yield library


def said(answer: Answer) -> dict[str, float]:
    """The reranker's logit for each hit that it read."""
    return {
        hit.chunk_id: one.calibrated
        for hit in answer.hits
        for one in hit.evidence
        if one.source == RERANK
    }


def test_the_model_counts_shared_words(model: str) -> None:
    found = load_reranker(model).logits("muon decay", ["A muon.", "muon decay", "bread", ""])
    assert found.tolist() == [-0.5, 0.5, -1.5, -1.5]
    # A query keeps 18 of the 37 tokens that there are; a passage is cut to the other 19.
    long = load_reranker(model).logits(
        "river " * 30, ["bread " * 18 + "river", "bread " * 19 + "river"]
    )
    assert long.tolist() == [16.5, -1.5]


@pytest.mark.parametrize("fusion", ["calibrated", "rrf"])
def test_passages_change_places_and_the_rest_stays(
    opened: Library, model: str, fusion: str
) -> None:
    query = "a red sunset, sand in the river and a crust"
    before = opened.search(query, limit=30, fusion=fusion, all=True, per_document=0)
    after = opened.search(query, limit=30, fusion=fusion, rerank=model, all=True, per_document=0)
    logits = said(after)

    assert {hit.chunk_id for hit in after.hits} == {hit.chunk_id for hit in before.hits}
    assert [hit.chunk_id for hit in after.hits] != [hit.chunk_id for hit in before.hits]
    # Scores belong to places, so they still fall, and say of a place what they said.
    assert [hit.score for hit in after.hits] == [hit.score for hit in before.hits]
    read = [hit for hit in after.hits if hit.chunk_id in logits]
    assert {hit.chunk_id for hit in read} == {hit.chunk_id for hit in after.hits if hit.snippet}
    assert [logits[hit.chunk_id] for hit in read] == sorted(logits.values(), reverse=True)
    unread = [
        (place, hit.chunk_id) for place, hit in enumerate(after.hits) if hit.chunk_id not in logits
    ]
    assert unread
    for place, chunk_id in unread:
        assert before.hits[place].chunk_id == chunk_id
    assert "rerank" in after.took_ms


def test_evidence_and_explanation_tell_of_the_reranker(opened: Library, model: str) -> None:
    (hit,) = opened.query("muon decay -bread", limit=1, rerank=model).hits
    evidence = next(one for one in hit.evidence if one.source == RERANK)
    assert (evidence.rank, evidence.calibrated) == (1, 3.5)
    assert evidence.similarity == pytest.approx(1 / (1 + np.exp(-3.5)))
    assert "; rank 1 after reranking (probability 0.97)." in hit.explanation


def test_only_the_first_50_passages_are_read(tmp_path: Path, model: str) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(80):
        (folder / f"{number}.txt").write_text(f"Sand and sand again, number {number}.\n", "utf-8")
    with Library(tmp_path / "library", create=True) as library:
        library.add(folder)
        found = library.search("sand in the river", limit=80, rerank=model)
        assert len(found.hits) == 80
        assert [hit.chunk_id in said(found) for hit in found.hits] == [True] * 50 + [False] * 30


def test_a_query_without_words_is_not_reranked_and_says_so(opened: Library, model: str) -> None:
    picture = opened.path.parent / "collection" / "figures" / "sunset.jpg"
    found = opened.search(image=picture, rerank=model)
    assert found.notices == ("not reranked: the query has no text",)
    assert found.hits[0].title == "Evening"
    silent = opened.search("red", modality="audio", rerank=model)
    assert "not reranked: no hit has text" in silent.notices


def test_models_that_do_not_rerank(opened: Library, tmp_path: Path) -> None:
    assert rerankers() == ["bge-reranker-v2-m3", "ms-marco-minilm-l6"]
    with pytest.raises(UsageError, match=r"no reranker 'bge'; there are: bge-reranker-v2-m3, ms"):
        opened.search("muon", rerank="bge")
    with pytest.raises(UsageError, match="'mini', which makes vectors and does not rerank"):
        opened.search("muon", rerank="mini")
    with (
        Library(tmp_path / "l", create=True, model_dir=tmp_path / "models") as library,
        pytest.raises(ModelError, match=r"download it \(24 MB\) with `trawl models pull ms-marco"),
    ):
        library.search("muon", rerank="ms-marco-minilm-l6")


def test_a_reranker_is_no_model_of_a_library(model: str, tmp_path: Path) -> None:
    for load in (load_profile, lambda name: [load_model(name)]):
        (found,) = load(model)
        with pytest.raises(ModelError, match="is a reranker and makes no vectors"):
            _ = found.encoders
    with pytest.raises(ModelError, match="is a reranker and makes no vectors"):
        Library(tmp_path / "library", create=True, profile=model)


def test_a_graph_of_another_kind(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "vectors"
    folder.mkdir()
    for name in ("tokenizer.json", "model.onnx"):
        (folder / name).write_bytes((Path(model) / name).read_bytes())
    graph = onnx.load(folder / "model.onnx")
    graph.graph.output[0].name = "equal"
    graph.graph.output[0].type.tensor_type.shape.ClearField("dim")
    onnx.save(graph, folder / "model.onnx")
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    known = hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    files = f'"model.onnx" = "{digest}"\n"tokenizer.json" = "{known}"\n'
    (folder / "card.toml").write_text(CARD + files, "utf-8")
    with pytest.raises(ModelError, match="a reranker returns one number per pair"):
        load_reranker(str(folder)).logits("muon", ["a muon", "bread"])


def test_an_evaluation_measures_a_reranker(opened: Library, model: str) -> None:
    base = opened.path.parent / "collection"
    questions = [
        Question("1", {"bread.txt": 1}, text="muon sand bread crust oven"),
        Question("2", {"figures/sunset.jpg": 1}, image=base / "figures" / "sunset.jpg"),
    ]
    found = evaluate(opened, questions, base=base, rerank=model)
    figure = found.figure("reranked", "MRR@10")
    places = []
    for asked in ({"text": questions[0].text}, {"image": questions[1].image}):
        hits = opened.search(**asked, rerank=model, per_document=1).hits
        answer = "bread.txt" if "text" in asked else "sunset.jpg"
        places.append(next(place for place, hit in enumerate(hits, 1) if hit.uri.endswith(answer)))
    assert figure.value.mean == pytest.approx(np.mean([1 / place for place in places]))
    assert figure.difference is not None
    assert "reranked" in found.fusions


def test_the_command_line_reranks(opened: Library, model: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("trawl"), "search", "muon", "decay", "-n", "1", "--json",
         "--rerank", model, "-l", opened.path],
        capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    (hit,) = json.loads(done.stdout)["hits"]
    assert hit["evidence"][-1] == {
        "source": "rerank", "rank": 1, "similarity": pytest.approx(0.9707, abs=1e-4),
        "calibrated": 3.5, "weight": 1.0,
    }  # fmt: skip
