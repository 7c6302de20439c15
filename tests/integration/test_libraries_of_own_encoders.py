"""Libraries with encoders of the caller's own: made, opened, searched, served, and refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from PIL import Image

from served import TRAWL, asked, over_http, refused, wait_until_ready
from trawl import Library
from trawl.encoders import Encoder, load_model
from trawl.errors import LibraryError, ModelError, SpaceMismatchError, UsageError
from trawl.server import create_app
from trawl.types import Modality, Question, Space

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_encoder.py"
MINI = load_model("mini")


class Own:
    """The tower of mini for a modality, as an encoder of its own."""

    def __init__(
        self, modality: Modality = "text", name: str = "own", fingerprint: str = "1", **more: Any
    ) -> None:
        self.modality = modality
        self.space = Space(name, MINI.space.dimension, fingerprint)
        self.queries: list[str] = []
        vars(self).update(more)

    def encode(self, items: Sequence[Any]) -> Any:
        return MINI.encoders[self.modality].encode(items)

    def encode_queries(self, items: Sequence[Any]) -> Any:
        self.queries += items
        return self.encode(items)


def three() -> list[Encoder]:
    return [Own(), Own("image"), Own("audio")]


@pytest.fixture
def place(tmp_path: Path, collection: Path) -> Path:
    """A library of the collection, made with encoders of all modalities."""
    with Library(tmp_path / "library", create=True, encoders=three()) as library:
        assert library.add(collection).failed == ()
    return tmp_path / "library"


def names(answer: Any) -> list[str]:
    return [hit.uri.rpartition("/")[2] for hit in answer]


def test_a_library_of_own_encoders_finds_what_one_of_the_same_model_finds(
    place: Path, collection: Path, tmp_path: Path
) -> None:
    with (
        Library(place, encoders=three()) as library,
        Library(tmp_path / "mini", create=True) as mini,
    ):
        mini.add(collection)
        assert library.status().spaces == (Own().space,)
        assert library.status().chunks == mini.status().chunks
        for query in ({"text": "muon decay"}, {"image": collection / "figures" / "sunset.jpg"}):
            own, named = library.search(**query, limit=3), mini.search(**query, limit=3)
            assert names(own)[0] == names(named)[0]
            assert 0 <= own[0].score <= 1
            sources = {found.source for found in own[0].evidence}
            renamed = {found.source.replace("mini.", "own.") for found in named[0].evidence}
            assert sources == renamed
        assert names(library.search(audio=collection / "beep.wav", limit=1)) == ["beep.wav"]
        like = library.search("red sunset", modality="image")[0].chunk_id
        assert names(library.similar(like, modality="image"))[:1] == ["decay.png"]
        assert library.search("muon", weights={"own.text": 2.0}).hits
        # Unchanged files are not embedded again, edited titles are.
        assert library.add(collection).unchanged == 6
        library.set_metadata(collection / "bread.txt", {"title": "Zebras"})
        assert "bread.txt" in names(library.search("zebras", limit=2))


def test_the_library_records_the_space_and_the_modalities(place: Path) -> None:
    identity = json.loads((place / "library.json").read_text("utf-8"))
    assert identity["profile"] == "own"
    assert identity["encoders"] == {"own": ["text", "image", "audio"]}
    assert identity["spaces"] == [
        {"name": "own", "dimension": 256, "fingerprint": "1", "metric": "cosine", "parts": 1}
    ]


@pytest.mark.parametrize(
    ("encoders", "message"),
    [
        ([Own(fingerprint="2")], "fingerprint '1'; this one has 256 and '2'"),
        ([Own(space=Space("own", 5, "1"))], "another encoder 'own', of 256 dimensions"),
        ([Own(name="other", fingerprint="3")], "without the text encoder 'other'; its models are"),
    ],
)
def test_another_encoder_is_refused(place: Path, encoders: list[Encoder], message: str) -> None:
    with pytest.raises(SpaceMismatchError, match=message):
        Library(place, encoders=encoders)


def test_another_profile_is_refused(place: Path) -> None:
    with pytest.raises(SpaceMismatchError, match="uses profile 'own', not 'mini'"):
        Library(place, encoders=three(), profile="mini")
    Library(place, encoders=three(), profile="own").close()
    Library(place.parent / "mini", create=True).close()
    with pytest.raises(SpaceMismatchError, match="without the text encoder 'own'"):
        Library(place.parent / "mini", encoders=[Own()])


def test_without_its_encoders_a_library_lists_and_names_what_is_missing(
    place: Path, collection: Path
) -> None:
    with Library(place) as library:
        assert library.status().documents == len(library.documents()) == 6
        assert library.search(where="year = 2021").hits
        assert library.show(collection / "muons.md").chunks
        library.set_metadata(collection / "muons.md", {"year": 2022})
        for call in (
            lambda: library.search("muon"),
            lambda: library.search(image=Image.new("RGB", (9, 9))),
            lambda: library.add(collection),
            lambda: library.set_metadata(collection / "muons.md", {"title": "Other"}),
        ):
            with pytest.raises(ModelError, match=r"an encoder of its own, own \((text|image), 256"):
                call()
        assert library.remove(collection / "bread.txt") == 1
        assert not library.status().failed


def test_without_one_of_its_encoders_the_others_search(place: Path, collection: Path) -> None:
    with Library(place, encoders=[Own()]) as library:
        assert "sunset.jpg" in names(library.search("a red sunset over the sea"))
        with pytest.raises(ModelError, match=r"own \(image"):
            library.search(image=collection / "figures" / "sunset.jpg")
        with pytest.raises(ModelError, match=r"own \(image"):
            library.add(collection)


def test_the_command_line_lists_and_names_what_is_missing(place: Path) -> None:
    def trawl(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(TRAWL), *arguments, "--library", str(place)], capture_output=True, text=True
        )

    assert "documents  6" in trawl("status").stdout
    assert "muons.md" in trawl("list").stdout
    searched = trawl("search", "muon")
    assert searched.returncode == 1
    assert "Library(..., encoders=[...])" in searched.stderr


def test_own_encoders_and_models_by_name(tmp_path: Path, collection: Path) -> None:
    place, encoders = tmp_path / "both", [Own()]
    with pytest.raises(UsageError, match=r"does not name the encoder own; .* 'own,mini'"):
        Library(place, create=True, encoders=encoders, profile="mini")
    with pytest.raises(UsageError, match=r"splits its texts, and own embeds none; .* 'mini,own'"):
        Library(place, create=True, encoders=[Own("image")])
    assert not place.exists()
    with Library(place, create=True, encoders=encoders, profile="own,mini") as library:
        library.add(collection)
        found = library.search("muon decay").hits
        sources = {evidence.source for hit in found for evidence in hit.evidence}
        assert {"own.text", "mini.text", "mini.image"} <= sources
    with Library(place) as library, pytest.raises(ModelError, match="own"):
        library.search("muon")


def test_long_texts_long_queries_and_tasks(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("A muon decays to an electron. " * 50, "utf-8")
    own = Own(max_tokens=50, tasks=("code",))
    with Library(tmp_path / "library", create=True, encoders=[own]) as library:
        library.add(tmp_path / "note.txt")
        chunks = library.show(tmp_path / "note.txt").chunks
        assert len(chunks) > 1, "passages of 200 tokens, as counted by mini"
        assert max(len(MINI.text.token_spans(chunk.text)) for chunk in chunks) <= 200
        answer = library.search("muon " * 60, task="code")
        assert answer.notices == ("own ignored the last 70 tokens of the query",)
        asked_for = own.queries[0]
        assert isinstance(asked_for, Question)
        assert asked_for.task == "code"
        assert len(MINI.text.token_spans(asked_for)) == 50
        with pytest.raises(UsageError, match="tasks are: code"):
            library.search("muon", task="cook")


def test_a_service_that_fails_fails_its_documents_only(tmp_path: Path) -> None:
    class Moody(Own):
        def encode(self, items: Sequence[Any]) -> Any:
            if any("bad" in item for item in items):
                raise ConnectionError("refused")
            return super().encode(items)

    for name in ("good", "bad"):
        (tmp_path / f"{name}.txt").write_text(f"This text is {name}.", "utf-8")
    with Library(tmp_path / "library", create=True, encoders=[Moody()]) as library:
        report = library.add(sorted(tmp_path.glob("*.txt")))
        assert report.added == 1
        assert "the encoder own failed: ConnectionError: refused" in report.failed[0].reason
        with pytest.raises(ModelError, match="refused"):
            library.search("a bad question")


def test_concurrent_queries_share_calls(place: Path) -> None:
    class Counted(Own):
        def __init__(self) -> None:
            super().__init__(batch=64)
            self.calls: list[int] = []
            self.begun, self.gate = threading.Event(), threading.Event()

        def encode_queries(self, items: Sequence[Any]) -> Any:
            self.calls.append(len(items))
            self.begun.set()
            self.gate.wait(60)
            return self.encode(items)

    counted = Counted()
    with Library(place, encoders=[counted]) as library, ThreadPoolExecutor(9) as pool:
        text: Any = library._models[0].text
        first = pool.submit(text.encode_queries, ["the first"])
        assert counted.begun.wait(60)
        others = [pool.submit(text.encode_queries, [f"number {n}"]) for n in range(8)]
        until_waiting(text, 8)
        counted.gate.set()
        assert all(one.result(60).shape == (1, 256) for one in [first, *others])
    assert counted.calls == [1, 8]


def until_waiting(text: Any, count: int) -> None:
    while text.waiting("query") < count:
        time.sleep(0.005)


def test_a_cluster_is_refused(place: Path, collection: Path) -> None:
    with (
        Library(place, encoders=three()) as library,
        pytest.raises(UsageError, match="use the engine local"),
    ):
        library.add(collection, engine="ray")


def test_a_damaged_record_is_an_error_of_the_library(place: Path) -> None:
    record = place / "library.json"
    record.write_text(record.read_text("utf-8").replace('"profile"', '"perfile"'), "utf-8")
    with pytest.raises(LibraryError, match="is it a library"):
        Library(place, encoders=three())


# --- an HTTP service ---------------------------------------------------------------------


def service() -> FastAPI:
    """Return a service of the OpenAI shape, whose model is mini."""
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        vectors = 2 * MINI.text.encode(body["input"])
        rows = [
            {"object": "embedding", "index": index, "embedding": vector.tolist()}
            for index, vector in enumerate(vectors)
        ]
        return {"object": "list", "model": body["model"], "data": rows[::-1]}

    return app


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with over_http(service()) as served:
        yield f"{served}/v1"


def test_the_example_indexes_with_a_service(address: str, collection: Path) -> None:
    command = [sys.executable, str(EXAMPLE), address, "acme/embed-1", str(collection)]
    command.append("muon decay")
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0].startswith("6 added, ")
    assert "Muon decay" in lines[1]
    recorded = json.loads((collection.parent / "collection.trawl" / "library.json").read_text())
    assert recorded["spaces"][0]["name"] == "embed-1"
    assert recorded["spaces"][0]["fingerprint"] == "acme/embed-1"
    # Another model of the service is refused.
    other = [*command[:3], "acme2/embed-1", *command[4:]]
    ran = subprocess.run(other, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "was created with another encoder 'embed-1'" in ran.stderr


def test_a_server_with_the_encoders_searches_and_adds(place: Path) -> None:
    with (
        Library(place, encoders=three(), rate_limit="") as library,
        over_http(create_app(library)) as server,
        httpx.Client(base_url=server, timeout=60) as client,
    ):
        wait_until_ready(server)
        found = client.get("/search", params={"query": "muon decay"}).json()
        assert found["results"][0]["title"] == "Muon decay"
        assert client.get("/v1/stats").json()["spaces"][0]["name"] == "own"
        file = ("zebra.txt", b"Zebras graze in the savannah.")
        job = client.post("/v1/documents", files=[("files", file)]).json()
        at, ended = f"/v1/jobs/{job['id']}", ("done", "failed")
        while (state := client.get(at).json()["state"]) not in ended:
            time.sleep(0.02)
        assert state == "done"
        assert "Zebras graze" in library.search("a zebra in the grass")[0].title


def test_a_server_without_the_encoders_lists(place: Path) -> None:
    with Library(place) as library, asked(library) as client:
        assert client.get("/v1/documents").json()["total"] == 6
        refused(client.get("/search", params={"query": "muon"}), 503, "model-unavailable")
        while (health := client.get("/health").json())["status"] == "starting":
            time.sleep(0.02)
        assert health["status"] == "failed"
