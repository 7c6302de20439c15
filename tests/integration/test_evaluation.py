"""`trawl.evaluation`: measures, judgement files, test collections and the command."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from conftest import write_collection
from trawl import Library
from trawl.cli import main
from trawl.errors import UsageError
from trawl.evaluation import (
    Evaluation,
    Question,
    add_collection,
    evaluate,
    read_collection,
    read_judgements,
)
from trawl.evaluation.measures import intervals, measure
from trawl.evaluation.plot import plot

JUDGED = [
    {"text": "muon decay", "answers": {"muons.md": 3, "figures/decay.png": 1}},
    {"query": "sourdough bread", "answers": ["bread.txt"]},
    {"text": "a red sunset over the sea", "answers": ["figures/sunset.jpg"]},
    {"text": "sand in the river", "answers": ["long.txt"]},
    {"audio": "beep.wav", "answers": ["beep.wav"]},
    {"image": "figures/sunset.jpg", "id": "picture", "answers": ["figures/sunset.jpg"]},
    {"query": "mean life -bread", "answers": ["muons.md"]},
    {"text": "engineers measure the banks", "answers": ["long.txt"]},
    {"text": "crust in a hot oven", "answers": ["bread.txt"]},
    {"text": "decay curve", "answers": ["figures/decay.png"]},
    {"text": "how bread is baked", "answers": ["bread.txt"]},
]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    folder = tmp_path_factory.mktemp("evaluation")
    write_collection(folder / "collection")
    lines = "".join(json.dumps(row) + "\n" for row in JUDGED)
    (folder / "collection" / "judged.jsonl").write_text(lines, "utf-8")
    with Library(folder / "library", create=True, freshness_s=0) as library:
        library.add(folder / "collection")
        yield library


@pytest.fixture(scope="module")
def base(opened: Library) -> Path:
    return opened.path.parent / "collection"


@pytest.fixture(scope="module")
def found(opened: Library, base: Path) -> Evaluation:
    questions = read_judgements(base / "judged.jsonl")
    return evaluate(opened, questions, k=5, base=base, tune_weights=True)


# --- the figures -----------------------------------------------------------------------


def by_hand(keys: list[str], grades: dict[str, int], k: int) -> tuple[float, float, float]:
    """Return nDCG, recall and reciprocal rank, computed independently."""
    gains = [grades.get(key, 0) for key in keys[:k]]
    ideal = sorted(grades.values(), reverse=True)[:k]
    dcg = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))
    first = next((place for place, gain in enumerate(gains) if gain), None)
    return (
        dcg / best,
        sum(gain > 0 for gain in gains) / len(grades),
        0.0 if first is None else 1 / (first + 1),
    )


def test_measures_agree_with_a_second_computation() -> None:
    random = np.random.default_rng(5)
    lists, answers = [], []
    for _ in range(60):
        lists.append([f"d{n}" for n in random.permutation(30)[: random.integers(0, 25)]])
        judged = random.permutation(30)[: random.integers(1, 6)]
        answers.append({f"d{n}": int(random.integers(1, 4)) for n in judged})
    expected = [by_hand(found, graded, 10) for found, graded in zip(lists, answers, strict=True)]
    np.testing.assert_allclose(measure(lists, answers, 10), expected, atol=1e-9)


def test_intervals_agree_with_scipy() -> None:
    values = np.random.default_rng(3).beta(2, 3, (120, 2))
    for column, mine in enumerate(intervals(values, seed=1)):
        theirs = stats.bootstrap(
            (values[:, column],), np.mean, n_resamples=10_000, method="percentile", rng=9
        ).confidence_interval
        assert mine.mean == pytest.approx(values[:, column].mean())
        # Two draws of 10,000 resamples differ by chance alone, by a hundredth of the width.
        assert mine.low == pytest.approx(theirs.low, abs=0.003)
        assert mine.high == pytest.approx(theirs.high, abs=0.003)
    assert intervals(values, seed=1) == intervals(values, seed=1)


def test_an_evaluation_measures_the_results_of_search(
    opened: Library, base: Path, found: Evaluation
) -> None:
    documents = {Path(row.uri).name: row.document_id for row in opened.documents()}
    for fusion in ("calibrated", "rrf", "weighted"):
        values = []
        for row in JUDGED:
            asked = {key: base / row[key] for key in ("image", "audio") if key in row}
            options = {"fusion": fusion, "per_document": 1, "limit": 5, **asked}
            answer = (
                opened.query(row["query"], **options)
                if "query" in row
                else opened.search(row.get("text"), **options)
            )
            given = row["answers"]
            graded = given if isinstance(given, dict) else dict.fromkeys(given, 1)
            grades = {documents[Path(name).name]: grade for name, grade in graded.items()}
            values.append(by_hand([hit.document_id for hit in answer.hits], grades, 5))
        for name, column in zip(found.measures, np.array(values).T, strict=True):
            assert found.figure(fusion, name).value.mean == pytest.approx(column.mean())


def test_each_modality_has_figures(found: Evaluation) -> None:
    assert found.groups == {"all": 11, "text": 7, "image": 4, "audio": 1}
    assert found.fusions[:3] == ("calibrated", "rrf", "weighted")
    assert {"bm25", "mini.text", "mini.image", "mini.audio"} == set(found.fusions[3:])
    assert found.figure("mini.audio", "recall@5", "audio").value.mean == 1
    # A source of pictures alone finds no text, and never a wrong one in its place.
    assert found.figure("mini.image", "recall@5", "text").value.mean == 0
    for figure in found.figures:
        assert 0 <= figure.value.low <= figure.value.mean <= figure.value.high <= 1
        assert (figure.difference is None) == (figure.fusion == "calibrated")
        if figure.difference is not None:
            default = found.figure("calibrated", figure.measure, figure.group)
            assert figure.difference.mean == pytest.approx(
                figure.value.mean - default.value.mean, abs=1e-12
            )


def test_tuning_fits_on_one_half_and_reports_on_the_other(found: Evaluation) -> None:
    assert found.tuning is not None
    assert set(found.tuning.weights) == {"bm25", "mini.text", "mini.image", "mini.audio"}
    fitted, held = found.tuning.fitted_on, found.tuning.held_out
    assert (fitted.questions, held.questions) == (5, 6)
    assert fitted.gain["nDCG@5"].mean >= 0
    whole = found.figure("calibrated", "nDCG@5").value.mean
    halves = 5 * fitted.default["nDCG@5"].mean + 6 * held.default["nDCG@5"].mean
    assert halves / 11 == pytest.approx(whole)


def test_weights_apply_as_in_search(opened: Library, base: Path) -> None:
    questions = [Question("1", {"bread.txt": 1}, text="sourdough bread")]
    silent = evaluate(opened, questions, base=base, weights={"bm25": 0, "mini.text": 0})
    assert silent.weights == {"bm25": 0, "mini.text": 0}
    assert silent.figure("calibrated", "MRR@10").value.mean < 1
    assert silent.figure("bm25", "MRR@10").value.mean == 1


def test_a_chunk_can_be_the_answer(opened: Library, base: Path) -> None:
    hits = opened.search("section 20 of the river", limit=50).hits
    chunk = next(hit for hit in hits if hit.uri.endswith("long.txt"))
    asked = Question("1", {chunk.chunk_id: 1}, text="section 20 of the river")
    found = evaluate(opened, [asked], base=base)
    assert found.figure("calibrated", "recall@10").value.mean == 1
    assert not found.notices


def test_a_missing_answer_counts_as_not_found(opened: Library, base: Path) -> None:
    asked = Question("1", {"bread.txt": 1, "gone.txt": 1}, text="sourdough bread")
    found = evaluate(opened, [asked], base=base)
    assert found.figure("calibrated", "recall@10").value.mean == 0.5
    (notice,) = found.notices
    assert notice == "1 answer is not in the library and counted as not found: gone.txt"


# --- files -----------------------------------------------------------------------------


def test_a_table_of_judgements(tmp_path: Path) -> None:
    file = tmp_path / "judged.tsv"
    file.write_text('query\tanswer\tgrade\nrain "a b"\tx.md\t2\nrain "a b"\ty.md\n\nsun\tz.md\n')
    assert read_judgements(file) == [
        Question("1", {"x.md": 2, "y.md": 1}, query='rain "a b"'),
        Question("2", {"z.md": 1}, query="sun"),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "is not a judgement file"),
        ("a.jsonl", "", "has no questions"),
        ("a.jsonl", '{"text": "x", "answers": ["a"]}\n{"text": ', "line 2: not valid JSON"),
        ("a.jsonl", '["x"]', "line 1: not a JSON object"),
        ("a.jsonl", '{"answers": ["a"]}', "line 1: the query is missing"),
        ("a.jsonl", '{"text": "x", "query": "y", "answers": ["a"]}', "cannot be combined"),
        ("a.jsonl", '{"text": "x", "answers": []}', '"answers" must be a list'),
        ("a.jsonl", '{"text": "x", "answers": {"a": -1}}', "the grade -1 is not an integer"),
        ("a.jsonl", '{"text": "x", "answers": {"a": 1.5}}', r"the grade 1.5 is not an integer"),
        ("a.jsonl", '{"text": "x", "answer": ["a"]}', "unknown key 'answer'"),
        ("a.tsv", "rain\tx\t2\t3\n", "line 1: expected two or three columns"),
        ("a.tsv", "rain\tx\tmuch\n", "the grade 'much'"),
    ],
)
def test_invalid_judgement_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(UsageError, match=message):
        read_judgements(tmp_path / name)


def test_invalid_questions(opened: Library) -> None:
    with pytest.raises(UsageError, match="no questions"):
        evaluate(opened, [])
    with pytest.raises(UsageError, match="no answer with a grade above 0"):
        evaluate(opened, [Question("1", {"x": 0}, text="y")])
    with pytest.raises(UsageError, match="none of the answers is in the library, for example 'x'"):
        evaluate(opened, [Question("1", {"x": 1}, text="y")])
    document = opened.documents()[0].document_id
    with pytest.raises(UsageError, match=r"question 7: query, character 5"):
        evaluate(opened, [Question("7", {document: 1}, query="muon^two")])
    with pytest.raises(UsageError, match="too few to fit weights"):
        evaluate(opened, [Question("1", {document: 1}, text="x")], tune_weights=True)


def beir(folder: Path) -> Path:
    (folder / "qrels").mkdir(parents=True)
    texts = {".hidden/1": "A muon decays to an electron.", "b" * 300: "Bread rises.", "c": "Rain."}
    rows = [{"_id": key, "title": "", "text": text} for key, text in texts.items()]
    rows.append({"_id": "t", "title": "Taus", "text": ""})
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {"1": "muon", "2": "bread", "3": "nothing is judged", "4": "taus"}
    lines = [json.dumps({"_id": key, "text": text}) + "\n" for key, text in asked.items()]
    (folder / "queries.jsonl").write_text("".join(lines))
    table = f"query-id\tcorpus-id\tscore\n1\t.hidden/1\t1\n2\t{'b' * 300}\t2\n2\tc\t0\n4\tt\t1\n"
    (folder / "qrels" / "test.tsv").write_text(table)
    return folder


def test_a_beir_collection(tmp_path: Path) -> None:
    collection = read_collection(beir(tmp_path / "beir"))
    assert [q.question_id for q in collection.questions] == ["1", "2", "4"]
    with Library(tmp_path / "library", create=True) as library:
        questions, report = add_collection(library, collection, tmp_path / "texts")
        assert (report.added, report.failed) == (4, ())
        found = evaluate(library, questions)
        assert found.figure("calibrated", "nDCG@10").value.mean == 1
        _, again = add_collection(library, collection, tmp_path / "texts")
        assert (again.added, again.unchanged) == (0, 4)


def test_a_smart_collection(tmp_path: Path) -> None:
    (tmp_path / "toy.all.2").write_text(
        ".I 1\n.T\nthe wing .\n.W\nthe wing .\nlift of a wing in a slipstream .\n"
        ".I 2\n.T\nheat\n.A\nsomebody\n.W\nheat in composite slabs\n"
    )
    (tmp_path / "toy.qry").write_text(".I 007\n.W\nlift of\na wing\n.I 009\n.W\nheat\n")
    (tmp_path / "toyqrel").write_text("1 1 3 \n1 2 5\n2 2 -1\n2 1 1\n")
    collection = read_collection(tmp_path)
    assert collection.documents["1"] == ("the wing", "lift of a wing in a slipstream .")
    assert collection.questions == (
        Question("1", {"1": 1}, text="lift of a wing"),
        Question("2", {"1": 1}, text="heat"),
    )


def test_invalid_collections(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a test collection"):
        read_collection(tmp_path)
    folder = beir(tmp_path / "beir")
    with pytest.raises(UsageError, match=r"no judgements: .*splits: test \(--split\)"):
        read_collection(folder, "dev")
    (folder / "qrels" / "test.tsv").write_text("1 2\n")
    with pytest.raises(UsageError, match="line 1: expected three columns"):
        read_collection(folder)
    (folder / "queries.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(UsageError, match=r"queries.jsonl, line 1: '_id' is missing"):
        read_collection(folder)


# --- pictures --------------------------------------------------------------------------


def test_a_plot(found: Evaluation, tmp_path: Path) -> None:
    plot(found, tmp_path / "a.svg", title="Collection")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert drawn.startswith("<?xml")
    # A value is written beside each point: a fusion, by a measure, in a group.
    for figure in found.figures:
        assert f"<!-- {figure.value.mean:.3f} -->" in drawn
    for name in (*found.fusions, *found.measures, "Collection"):
        assert f"<!-- {name} -->" in drawn
    with pytest.raises(UsageError, match=r"extension must be \.png"):
        plot(found, tmp_path / "a.gif")
    with pytest.raises(UsageError, match="cannot write"):
        plot(found, tmp_path / "nowhere" / "a.png")


# --- the command -----------------------------------------------------------------------


def trawl(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("trawl"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def test_the_command_on_a_judgement_file(opened: Library, base: Path, tmp_path: Path) -> None:
    asked = ("eval", base / "judged.jsonl", "-l", opened.path, "-k", "5")
    done = trawl(*asked, "--json", "--tune", "--plot", tmp_path / "a.png")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {
        "questions", "k", "seed", "level", "resamples", "weights", "groups", "figures", "tuning",
        "notices",
    }  # fmt: skip
    assert found["groups"] == {"all": 11, "text": 7, "image": 4, "audio": 1}
    assert set(found["figures"][0]) == {
        "fusion", "group", "measure", "mean", "low", "high", "difference",
    }  # fmt: skip
    assert set(found["tuning"]) == {"weights", "fitted_on", "held_out"}
    assert set(found["tuning"]["held_out"]) == {"questions", "default", "tuned", "gain"}
    assert set(found["tuning"]["held_out"]["gain"]) == {"nDCG@5", "recall@5", "MRR@5"}
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    shown = trawl(*asked, "--weight", "bm25=0.5").stdout
    assert "queries with image answers (4)" in shown
    assert "mini.audio" in shown
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_command_on_a_collection(tmp_path: Path) -> None:
    folder = beir(tmp_path / "beir")
    # A library that the environment names must not get the texts of a test collection.
    done = trawl("eval", folder, "--json", TRAWL_LIBRARY=str(tmp_path / "mine"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["questions"] == 3
    assert not (tmp_path / "mine").exists()
    kept = trawl("eval", folder, "--library", tmp_path / "kept")
    assert kept.returncode == 0, kept.stderr
    with Library(tmp_path / "kept") as library:
        assert library.status().documents == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.jsonl"], "cannot read gone.jsonl"),
        (["gone.jsonl", "--plot", "a.gif"], "cannot plot to"),
        (["gone.jsonl", "--weight", "bm25"], "--weight bm25: expected SOURCE=NUMBER"),
        (["gone.jsonl", "--profile", "mini"], "--profile is for test collections"),
        (["judged.jsonl", "--weight", "bm52=1"], "unknown source 'bm52'; sources of this library"),
        (["judged.jsonl", "-k", "0"], "k 0 is out of range: 1 to 1,000"),
        (["."], ". is not a test collection"),
    ],
)
def test_the_command_reports_errors(
    opened: Library,
    base: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(base)
    monkeypatch.setenv("TRAWL_LIBRARY", str(opened.path))
    monkeypatch.setattr(sys, "argv", ["trawl", "eval", *arguments])
    assert main.exit_code() == 2
    assert message in capsys.readouterr().err


def test_a_missing_extra_is_reported(opened: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    with pytest.raises(UsageError, match=r"pip install 'trawl-multimodal\[eval\]'"):
        measure([], [], 10)
