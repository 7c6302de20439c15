"""Adding over HTTP: uploads become documents, jobs are watched, cancelled, and resumed."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from trawl.library import Library
from trawl.server import create_app
from trawl.server.jobs import JobStore
from trawl.server.uploads import safe_name
from trawl.settings import load_settings

MUON = b"The muon decays into an electron and two neutrinos."


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (200, 20, 20)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "hidden-root" / "lib", create=True) as library:
        yield library


def client_of(library: Library, **options: Any) -> TestClient:
    settings = load_settings(library.path, rate_limit="", **options)
    return TestClient(create_app(library, settings))


def send(client: TestClient, *files: tuple[str, bytes], metadata: str | None = None) -> Any:
    data = {"metadata": metadata} if metadata is not None else None
    return client.post("/v1/documents", files=[("files", file) for file in files], data=data)


def finished(client: TestClient, address: str, patience_s: float = 30) -> dict[str, Any]:
    until = time.monotonic() + patience_s
    while True:
        response = client.get(address)
        assert response.status_code == 200, response.text
        assert "hidden-root" not in response.text
        job: dict[str, Any] = response.json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        assert time.monotonic() < until, job
        time.sleep(0.02)


def added(client: TestClient, *files: tuple[str, bytes], **options: Any) -> dict[str, Any]:
    response = send(client, *files, **options)
    assert response.status_code == 202, response.text
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
    return finished(client, response.headers["location"])


def test_uploads_are_found(library: Library) -> None:
    with client_of(library) as client:
        assert client.get("/search?query=muon").json()["results"] == []
        metadata = json.dumps({"year": 2019, "tags": ["a", "b"], "topic": "physics"})
        job = added(client, ("muon.txt", MUON), ("red.png", png()), metadata=metadata)
        assert (job["state"], job["done"], job["total"]) == ("done", 2, 2)
        assert job["report"]["added"] == 2
        assert job["report"]["failed"] == []
        hit = client.get("/search?query=muon&modality=text").json()["results"][0]
        assert hit["source"] == "muon.txt"
        assert hit["metadata"] == {"year": 2019, "tags": ["a", "b"], "topic": "physics"}
        assert [f["source"] for f in job["files"]] == ["muon.txt", "red.png"]
        assert job["files"][0]["document_id"] == hit["document_id"]
        assert client.get(f"/v1/documents/{hit['document_id']}").status_code == 200


def test_the_same_file_is_one_document(library: Library) -> None:
    with client_of(library) as client:
        added(client, ("muon.txt", MUON))
        again = added(client, ("muon.txt", MUON))
        assert (again["report"]["added"], again["report"]["unchanged"]) == (0, 1)
        other = added(client, ("muon.txt", MUON), metadata='{"year": 2020}')
        assert other["report"]["replaced"] == 1
        assert client.get("/v1/documents").json()["total"] == 1


def test_an_upload_without_metadata_keeps_what_an_earlier_one_gave(library: Library) -> None:
    with client_of(library) as client:
        job = added(client, ("muon.txt", MUON), metadata='{"year": 2020, "topic": "physics"}')
        address = f"/v1/documents/{job['files'][0]['document_id']}"
        again = added(client, ("muon.txt", MUON))
        assert (again["report"]["unchanged"], again["report"]["moved"]) == (1, 0)
        assert client.get(address).json()["metadata"] == {"year": 2020, "topic": "physics"}
        added(client, ("muon.txt", MUON), metadata='{"year": null}')
        assert client.get(address).json()["metadata"] == {"topic": "physics"}


def test_a_line_without_metadata_keeps_what_an_earlier_one_gave(library: Library) -> None:
    def send_line(**fields: Any) -> dict[str, Any]:
        response = client.post(
            "/v1/documents",
            content=json.dumps({"text": "The muon decays.", **fields}),
            headers={"Content-Type": "application/jsonl"},
        )
        assert response.status_code == 202, response.text
        job = finished(client, response.headers["location"])
        found = client.get(f"/v1/documents/{job['files'][0]['document_id']}").json()
        return {"title": found["title"], **found["metadata"]}

    with client_of(library) as client:
        send_line(title="Muon", metadata={"year": 2020, "topic": "physics"})
        assert send_line() == {"title": "Muon", "year": 2020, "topic": "physics"}
        assert send_line(metadata={"year": None}) == {"title": "Muon", "topic": "physics"}


def test_a_bad_file_does_not_stop_the_others(library: Library) -> None:
    with client_of(library) as client:
        job = added(client, ("broken.png", png()[:60]), ("muon.txt", MUON), ("x.bin", b"\0\1"))
        assert job["state"] == "done"
        assert job["report"]["added"] == 1
        assert {f["source"] for f in job["report"]["failed"]} == {"broken.png", "x.bin"}
        assert all(f["reason"] for f in job["report"]["failed"])


def test_a_removed_upload_is_deleted(library: Library) -> None:
    with client_of(library) as client:
        job = added(client, ("muon.txt", MUON))
        uploads = library.path / ".uploads"
        assert len(list(uploads.rglob("*.txt"))) == 1
        document_id = job["files"][0]["document_id"]
        assert client.delete(f"/v1/documents/{document_id}").status_code == 204
        assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ("{", "not JSON"),
        ("[]", "object"),
        ('{"a": {"b": 1}}', "a value is"),
        ('{"a": NaN}', "not JSON"),
        ('{"a": [1]}', "a value is"),
        ('{"": 1}', "1 to 100"),
        ("[" * 50_000, "not JSON"),
        (json.dumps(dict.fromkeys(map(str, range(101)), 1)), "101 keys"),
    ],
)
def test_bad_metadata_is_refused_before_anything_is_stored(
    library: Library, metadata: str, said: str
) -> None:
    with client_of(library) as client:
        response = send(client, ("muon.txt", MUON), metadata=metadata)
    assert response.status_code == 422
    assert said in response.json()["detail"]
    assert not (library.path / ".uploads").exists()


def test_no_file_is_no_job(library: Library) -> None:
    with client_of(library) as client:
        assert client.post("/v1/documents", data={"metadata": "{}"}).status_code == 415
        none = client.post("/v1/documents", files={"other": ("a", b"a")}, data={"metadata": "{}"})
        assert (none.status_code, none.json()["errors"][0]["where"]) == (422, "body.files")
        many = client.post("/v1/documents", files=[("files", ("a", b"a"))] * 101)
        assert (many.status_code, many.json()["errors"][0]["where"]) == (422, "body.files")
        zero = "0" * 32
        for response in (
            client.get(f"/v1/jobs/{zero}"),
            client.delete(f"/v1/jobs/{zero}"),
            client.get(f"/v1/jobs/{zero}/events"),
        ):
            assert response.status_code == 404
            assert response.json()["type"] == "urn:problem:trawl:not-found"
        assert client.get("/v1/jobs/..%2f..").status_code in (404, 422)


def test_a_job_is_watched_to_its_end(library: Library) -> None:
    with client_of(library) as client:
        address = send(client, ("muon.txt", MUON)).headers["location"]
        with client.stream("GET", f"{address}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line]
        assert set(lines[::2]) == {"event: job"}
        jobs = [json.loads(line.removeprefix("data: ")) for line in lines[1::2]]
        assert jobs[-1]["state"] == "done"
        assert jobs[-1] == client.get(address).json()


def test_a_queued_job_can_be_cancelled(library: Library) -> None:
    gate, add = threading.Event(), library.add

    def held(*args: Any, **options: Any) -> Any:
        gate.wait(20)
        return add(*args, **options)

    library.add = held  # type: ignore[method-assign]
    with client_of(library) as client:
        first = send(client, ("muon.txt", MUON)).headers["location"]
        second = send(client, ("kaon.txt", b"The kaon.")).headers["location"]
        assert client.delete(second).json()["state"] == "cancelled"
        gate.set()
        assert finished(client, first)["state"] == "done"
        assert client.delete(first).json()["state"] == "done"
        assert client.get("/v1/documents").json()["total"] == 1


def test_a_running_job_can_be_cancelled(library: Library) -> None:
    add = library.add
    started, cancelled = threading.Event(), threading.Event()

    def slow(*args: Any, progress: Any, **options: Any) -> Any:
        def watched(done: int, total: int, uri: str) -> None:
            started.set()
            cancelled.wait(20)
            time.sleep(0.25)  # progress is noted every 0.2 s
            progress(done, total, uri)

        return add(*args, progress=watched, **options)

    library.add = slow  # type: ignore[method-assign]
    with client_of(library) as client:
        files = [(f"muon{i}.txt", MUON + str(i).encode()) for i in range(5)]
        address = send(client, *files).headers["location"]
        assert started.wait(20)
        assert client.delete(address).json()["state"] == "cancelled"
        cancelled.set()
        # The next job runs, and finds the library whole.
        library.add = add  # type: ignore[method-assign]
        assert added(client, ("kaon.txt", b"The kaon."))["report"]["added"] == 1
        assert finished(client, address)["state"] == "cancelled"
        assert client.get("/search?query=kaon").json()["results"][0]["source"] == "kaon.txt"


def test_a_job_of_a_killed_process_resumes(library: Library) -> None:
    with client_of(library) as client:
        added(client, ("muon.txt", MUON))
        kept = [str(p) for p in (library.path / ".uploads").rglob("*.txt")]
    extra = library.path / ".uploads" / "abc" / "kaon.txt"
    extra.parent.mkdir()
    extra.write_bytes(b"The kaon has a strange quark.")
    # As a killed server leaves it: running, with one file in and one not.
    store = JobStore(library.path / ".jobs.sqlite3")
    job = store.add([*kept, str(extra)], {})
    taken = store.take()
    assert taken is not None
    assert taken.job_id == job.job_id
    with client_of(library) as client:
        done = finished(client, f"/v1/jobs/{job.job_id}")
        assert done["state"] == "done"
        assert (done["report"]["added"], done["report"]["unchanged"]) == (1, 1)
        assert client.get("/v1/documents").json()["total"] == 2


def test_too_many_jobs_are_refused(library: Library) -> None:
    store = JobStore(library.path / ".jobs.sqlite3")
    app = create_app(library, load_settings(library.path, rate_limit=""))
    for _ in range(100):
        store.add([], {})
    response = send(TestClient(app), ("muon.txt", MUON))  # without its lifespan no job runs
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("muon.txt", "muon.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a b.png", "a b.png"),
        ("..", "upload"),
        (".hidden", "hidden"),
        ("", "upload"),
        ("a\nb\x00.txt", "a_b_.txt"),
        ("x" * 300 + ".txt", "x" * 50 + ".txt"),
        ("💥" * 300, "💥" * 50),
        ("\udcff.txt", "?.txt".replace("?", "_")),
    ],
)
def test_upload_names_stay_in_their_folder(given: str, kept: str) -> None:
    assert safe_name(given) == kept
    assert len(safe_name(given).encode()) <= 255
