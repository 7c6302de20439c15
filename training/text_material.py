"""The text tower's material: sentences, phrases and words for the teacher to embed."""

from __future__ import annotations

import csv
import gzip
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import text_names
from common import data_dir

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(])")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9'-]*")


def sentences(text: str) -> list[str]:
    """Cut at full stops before a capital letter; return the pieces of 3 words or more."""
    pieces = (piece.strip() for piece in _SENTENCE_END.split(" ".join(text.split())))
    return [piece for piece in pieces if len(piece.split()) >= 3]


def _json_lines(path: Path) -> Iterator[dict]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def read_flickr30k(data: Path) -> Iterator[str]:
    path = data / "captions_text" / "flickr30k_not_in_flickr8k.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield from (caption.strip() for caption in line.split("\t"))


def read_scifact_documents(data: Path) -> Iterator[tuple[str, str]]:
    """Yield (title, abstract) of the corpus; never the queries."""
    for row in _json_lines(data / "scifact" / "corpus.jsonl"):
        yield row["title"], row["text"]


def read_cranfield_documents(data: Path) -> Iterator[tuple[str, str]]:
    """Yield (title, abstract) of the 1,400 abstracts; never the queries."""
    raw = (data / "cranfield" / "cran.all.1400").read_text(encoding="utf-8", errors="replace")
    for record in re.split(r"^\.I \d+\n", raw, flags=re.M)[1:]:
        parts = re.split(r"^\.([TABW])\n", record, flags=re.M)
        fields = dict(zip(parts[1::2], parts[2::2], strict=False))
        title = " ".join(fields.get("T", "").split())
        body = " ".join(fields.get("W", "").split())
        yield title, body.removeprefix(title).strip()


def read_openstax(data: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (alt text, caption, section) of the train split."""
    for row in _json_lines(data / "openstax_figures" / "figures.jsonl"):
        if row["split"] == "train":
            yield row["alt"], row["caption"], row["section"]


def read_audiocaps(data: Path) -> Iterator[str]:
    for path in sorted((data / "audiocaps" / "captions_csv").glob("*.csv")):
        with path.open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield row["caption"]


def read_clotho(data: Path) -> Iterator[str]:
    for path in sorted((data / "captions_text").glob("clotho_*.csv")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for row in csv.DictReader(file):
                for i in range(1, 6):
                    if row.get(f"caption_{i}"):
                        yield row[f"caption_{i}"]


def read_musiccaps(data: Path) -> Iterator[str]:
    with (data / "captions_text" / "musiccaps.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield from sentences(row["caption"])


def read_audioset(data: Path) -> Iterator[str]:
    classes = json.loads((data / "captions_text" / "audioset_ontology.json").read_text("utf-8"))
    for entry in classes:
        yield entry["name"]
        yield entry["description"]


def read_stsb(data: Path, split: str) -> list[tuple[float, str, str]]:
    """Return (score 0..5, sentence, sentence) of one split: train, or dev for choices."""
    path = data / "stsbenchmark" / "stsbenchmark.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(float(r[5]), r[6], r[7]) for r in rows[1:] if r[0] == split]


def read_cern(data: Path) -> Iterator[str]:
    folder = data / "cern_opendata"
    for path in sorted((folder / "docs").rglob("*.md")):
        plain = re.sub(r"[#*`>|_]|\[([^\]]*)\]\([^)]*\)", r" \1 ", path.read_text("utf-8"))
        for paragraph in plain.split("\n\n"):
            yield from sentences(paragraph)
    for row in _json_lines(folder / "records.jsonl"):
        yield row["title"]
        yield from sentences(re.sub(r"<[^>]+>", " ", row.get("abstract") or ""))
    for row in _json_lines(folder / "image_context.jsonl"):
        yield from sentences(" ".join(v for v in row.values() if isinstance(v, str)))


def read_acl(data: Path) -> Iterator[str]:
    for row in _json_lines(data / "acl_figures" / "figures.jsonl"):
        for key in ("caption", "title", "paper_title", "abstract"):
            if isinstance(row.get(key), str):
                yield from sentences(row[key])


def read_class_names(data: Path) -> Iterator[str]:
    for name in ("mini_imagenet", "tiny_imagenet"):
        for line in (data / name / "class_names.tsv").read_text("utf-8").splitlines():
            yield from (part.strip() for part in line.split("\t")[1].split(","))
    for name in (
        "imagenet_samples",
        "esc10",
        "urbansound8k_part",
        "animal_sounds",
        "ambient_sounds",
    ):
        with (data / name / "labels.csv").open(encoding="utf-8") as file:
            yield from (row["label"] for row in csv.DictReader(file))
    with (data / "yamnet" / "yamnet_class_map.csv").open(encoding="utf-8") as file:
        yield from (row["display_name"] for row in csv.DictReader(file))


_TEMPLATES = (
    "a photo of a {}",
    "{} in the distance",
    "the sound of {}",
    "a picture of a {}",
    "a diagram of {}",
    "a plot showing {}",
    "what is {}",
    "an example of {}",
    "{}",
)


def _phrases(texts: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """Yield runs of 1 to 6 words cut out of the texts, like queries."""
    for _ in range(count):
        words = _WORD.findall(rng.choice(texts))
        if words:
            length = min(rng.choice((1, 2, 2, 3, 3, 4, 5, 6)), len(words))
            start = rng.randrange(len(words) - length + 1)
            yield " ".join(words[start : start + length])


def _word_mixtures(texts: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """Yield 2 to 12 words drawn from two texts, in random order."""
    for _ in range(count):
        words = _WORD.findall(rng.choice(texts)) + _WORD.findall(rng.choice(texts))
        rng.shuffle(words)
        yield " ".join(words[: rng.randint(2, 12)])


def scientific_passages(data: Path) -> Iterator[str]:
    """Yield titles with abstracts, whole and in halves: texts as long as passages."""
    for title, text in [*read_scifact_documents(data), *read_cranfield_documents(data)]:
        pieces = sentences(text)
        middle = len(pieces) // 2
        yield f"{title} {text}"
        if len(pieces) > 3:
            yield " ".join(pieces[:middle])
            yield " ".join(pieces[middle:])


def _pairs_of_texts(texts: list[str], count: int, rng: random.Random) -> Iterator[str]:
    """Yield two short texts joined, so that mixtures of subjects occur too."""
    for _ in range(count):
        first, second = rng.choice(texts), rng.choice(texts)
        if len(first) + len(second) < 240:
            yield f"{first.rstrip(' .')}. {second}"


def collect(seed: int, vocabulary: list[str]) -> list[tuple[str, str]]:
    """Return (source, text) of all material, without repeats, in an order that mixes the sources.

    Any prefix of the list is a fair sample.
    """
    data, rng = data_dir(), random.Random(seed)
    pools: dict[str, list[str]] = {
        "flickr30k": list(read_flickr30k(data)),
        "audiocaps": list(read_audiocaps(data)),
        "clotho": list(read_clotho(data)),
        "musiccaps": list(read_musiccaps(data)),
        "audioset": list(read_audioset(data)),
        "stsb": [s for _, a, b in read_stsb(data, "train") for s in (a, b)],
        "cern": list(read_cern(data)),
        "acl": list(read_acl(data)),
    }
    scifact, cranfield = list(read_scifact_documents(data)), list(read_cranfield_documents(data))
    pools["scifact_title"] = [title for title, _ in scifact]
    pools["scifact"] = [s for _, text in scifact for s in sentences(text)]
    pools["cranfield"] = [t for t, _ in cranfield] + [
        s.strip() for _, text in cranfield for s in text.split(" . ") if len(s.split()) > 3
    ]
    openstax = list(read_openstax(data))
    pools["openstax"] = [
        s for alt, caption, _ in openstax for t in (alt, caption) for s in sentences(t)
    ]
    pools["openstax_section"] = [section for _, _, section in openstax]
    pools["everyday"] = text_names.phrases()
    names = sorted(set(read_class_names(data)))
    pools["names"] = [rng.choice(_TEMPLATES).format(n) for n in names for _ in range(2)] + names
    pools["passages"] = list(scientific_passages(data))
    pools["words"] = [w for w in vocabulary if w.isalpha() and len(w) > 2]
    limits = {"flickr30k": 75000, "audiocaps": 50000}
    return _interleave(pools, limits, rng)


def derived(rows: list[tuple[str, str]], seed: int, share: float = 1.0) -> list[str]:
    """Return phrases, mixtures of words and pairs of texts, made from `rows` of (source, text)."""
    rng = random.Random(seed)
    plain = [text for source, text in rows if source not in ("words", "passages")]
    science = [
        text
        for source, text in rows
        if source in ("scifact", "cranfield", "openstax", "cern", "acl")
    ]
    made = [
        *_phrases(plain, int(90_000 * share), rng),
        *_phrases(science, int(60_000 * share), rng),
        *_word_mixtures(plain, int(60_000 * share), rng),
        *_word_mixtures(science, int(40_000 * share), rng),
        *_pairs_of_texts(plain, int(25_000 * share), rng),
    ]
    return list(dict.fromkeys(made))


def read_cranfield_judgements(data: Path) -> tuple[list[str], list[dict[int, float]]]:
    """Return Cranfield's queries and the rows of the documents that answer each."""
    raw = (data / "cranfield" / "cran.qry").read_text(encoding="utf-8", errors="replace")
    queries = [
        " ".join(record.split(".W\n", 1)[1].split())
        for record in re.split(r"^\.I \d+\n", raw, flags=re.M)[1:]
    ]
    relevant: list[dict[int, float]] = [{} for _ in queries]
    for line in (data / "cranfield" / "cranqrel").read_text("utf-8").splitlines():
        if not line.strip():
            continue
        query, document, grade = (int(part) for part in line.split()[:3])
        if grade > 0:
            relevant[query - 1][document - 1] = 1.0
    return queries, relevant


def supervision(data: Path) -> dict[str, Any]:
    """Return what is known beside the teacher: scored pairs, documents, and sets for choices."""
    queries, relevant = read_cranfield_judgements(data)
    cranfield = list(read_cranfield_documents(data))
    return {
        "sts_train": read_stsb(data, "train"),
        "sts_dev": read_stsb(data, "dev"),
        "documents": [pair for pair in (*read_scifact_documents(data), *cranfield) if all(pair)],
        "dev_documents": [f"{title} {text}" for title, text in cranfield],
        "dev_queries": queries,
        "dev_relevant": [sorted(found) for found in relevant],
    }


def _interleave(
    pools: dict[str, list[str]], limits: dict[str, int], rng: random.Random
) -> list[tuple[str, str]]:
    seen: set[str] = set()
    placed: list[tuple[float, str, str]] = []
    for name, pool in pools.items():
        fresh = []
        for text in pool:
            text = " ".join(text.split())
            if text and text not in seen:
                seen.add(text)
                fresh.append(text)
        rng.shuffle(fresh)
        fresh = fresh[: limits.get(name, len(fresh))]
        placed += [((i + rng.random()) / len(fresh), name, t) for i, t in enumerate(fresh)]
    placed.sort()
    return [(name, text) for _, name, text in placed]
