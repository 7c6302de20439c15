"""Pages with boxes, pictures in full, and the loudness of recordings over HTTP."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient
from PIL import Image, ImageDraw

from paper_layouts import Paper
from paper_layouts.drawings import chart
from served import asked, refused
from trawl.library import Library

RATE_HZ = 8_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views") / "secret-place"
    folder.mkdir()
    paper = Paper(1)
    y = paper.prose(72, 72, 468, 200)
    paper.figure(72, y + 12, 468, 200, chart(1), "Figure 1", "Figure 1: Rates of both series.")
    (folder / "rates.pdf").write_bytes(paper.pdf())
    with zipfile.ZipFile(folder / "papers.zip", "w") as archive:
        archive.write(folder / "rates.pdf", "inner.pdf")
    pages = [Image.new("RGB", (600, 400), "white") for _ in range(2)]
    for at, page in enumerate(pages):
        ImageDraw.Draw(page).ellipse((50, 50, 350, 350), fill=("red", "blue")[at])
    pages[0].save(folder / "plates.tiff", save_all=True, append_images=pages[1:])
    loud = np.sin(np.arange(3 * RATE_HZ) * 0.4).astype(np.float32)
    loud[: 2 * RATE_HZ] *= 0.1  # the last of three seconds is loud
    soundfile.write(folder / "late.wav", loud, RATE_HZ)
    _film(folder / "film.mp4", loud)
    (folder / "note.md").write_text("# Rates\n\nThe rates of both series.\n", "utf-8")
    return folder


def _film(path: Path, samples: np.ndarray[Any, np.dtype[np.float32]]) -> None:
    """Write three seconds of video: red, green, blue."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        track = out.add_stream("aac", rate=RATE_HZ)
        for number in range(30):
            image = Image.new("RGB", (160, 96), ("red", "green", "blue")[number // 10])
            ImageDraw.Draw(image).rectangle((number, 30, number + 20, 60), fill="white")
            frame = av.VideoFrame.from_image(image)
            frame.pts, frame.time_base = number, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for at in range(0, len(samples), 1024):
            sound = av.AudioFrame.from_ndarray(samples[None, at : at + 1024], "fltp", "mono")
            sound.sample_rate, sound.pts = RATE_HZ, at
            out.mux(track.encode(sound))
        out.mux(track.encode(None))


@pytest.fixture(scope="module")
def library(folder: Path) -> Iterator[Library]:
    with Library(folder.parent / "lib", create=True, freshness_s=0) as library:
        assert library.add(folder).failed == ()
        library.add_records([{"uri": "record:1", "text": "A record about rates."}])
        yield library


@pytest.fixture(scope="module")
def client(library: Library) -> Iterator[TestClient]:
    with asked(library) as client:
        yield client


def chunk(client: TestClient, name: str, modality: str, at: int = 0) -> dict[str, Any]:
    (document,) = client.get("/v1/documents", params={"name": name}).json()["documents"]
    parts = client.get(f"/v1/documents/{document['id']}").json()["parts"]
    found: dict[str, Any] = [one for one in parts if one["modality"] == modality][at]
    return found


def view(client: TestClient, part: dict[str, Any], what: str, **choices: int) -> Image.Image:
    response = client.get(f"/v1/chunks/{part['id']}/{what}", params=choices)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/jpeg"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    return Image.open(io.BytesIO(response.content))


def mean(image: Image.Image, box: tuple[int, ...] | None = None) -> list[float]:
    pixels = np.asarray(image.crop(box) if box else image, np.float64)  # type: ignore[arg-type]
    return [float(one) for one in pixels.reshape(-1, 3).mean(axis=0)]


@pytest.mark.parametrize("name", ["rates.pdf", "inner.pdf"])
def test_a_page_is_drawn_with_the_box_of_the_hit(client: TestClient, name: str) -> None:
    figure = chunk(client, name, "image")
    page = view(client, figure, "page", width=612)
    assert page.size == (612, 792)
    left, top, right, bottom = (round(side) for side in figure["span"]["box"])
    red, green, blue = mean(page, (left + 5, top + 5, right - 5, bottom - 5))
    assert red < green - 10
    assert red < blue - 10
    outside = mean(page, (0, 0, 612, top - 5))
    assert max(outside) - min(outside) < 2
    first = chunk(client, name, "text")
    left, top, right, bottom = (round(side) for side in first["span"]["box"])
    red, green, _ = mean(view(client, first, "page", width=612), (left, top, right, bottom))
    assert red < green - 10


def test_figures_and_pages_are_shown_larger_than_thumbnails(client: TestClient) -> None:
    figure = view(client, chunk(client, "rates.pdf", "image"), "picture")
    assert figure.width > 900
    assert max(mean(figure)) > 200
    assert view(client, chunk(client, "rates.pdf", "image"), "picture", width=300).width == 300
    first, second = (chunk(client, "plates.tiff", "image", at) for at in (0, 1))
    assert view(client, first, "picture").size == (600, 400)
    assert mean(view(client, first, "picture"))[0] > mean(view(client, first, "picture"))[2] + 30
    assert mean(view(client, second, "picture"))[2] > mean(view(client, second, "picture"))[0] + 30


def test_a_shot_of_a_video_is_shown_and_played_at_its_second(client: TestClient) -> None:
    last = chunk(client, "film.mp4", "image", 2)
    assert view(client, last, "picture").size == (160, 96)
    red, _, blue = mean(view(client, last, "picture"))
    assert blue > red + 50
    assert last["span"]["start_s"] == pytest.approx(2, abs=0.3)
    found = client.get("/v1/search", params={"q": "film", "modality": "image"}).json()["results"]
    shot = next(one for one in found if one["document_id"] == last["document_id"])
    assert shot["media_url"].endswith(f"#t={shot['span']['start_s']:g},{shot['span']['end_s']:g}")
    media = client.get(last["media_url"], headers={"Range": "bytes=0-99"})
    assert (media.status_code, len(media.content)) == (206, 100)
    assert media.headers["content-type"] == "video/mp4"
    assert media.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in media.headers["content-security-policy"]


@pytest.mark.parametrize("name", ["late.wav", "film.mp4"])
def test_peaks_show_where_a_recording_is_loud(client: TestClient, name: str) -> None:
    part = chunk(client, name, "audio")
    found = client.get(f"/v1/chunks/{part['id']}/peaks", params={"count": 30}).json()
    peaks = found["peaks"]
    assert len(peaks) == 30
    assert found["complete"]
    assert found["duration_s"] == pytest.approx(3, abs=0.3)
    assert max(peaks[3:17]) < 0.3 < 0.6 < min(peaks[22:28]) <= max(peaks) <= 1
    many = client.get(f"/v1/chunks/{part['id']}/peaks", params={"count": 2000}).json()
    assert 250 < len(many["peaks"]) < 400  # no more values than the recording has


def test_a_recording_that_takes_too_long_is_cut(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    from trawl.readers import views
    from trawl.readers.formats import Limits

    long = folder.parent / "long.wav"
    soundfile.write(long, np.full(20 * RATE_HZ, 0.5, np.float32), RATE_HZ)
    monkeypatch.setattr(views, "_MOST_S", 0.0)
    found = views.peaks_of(long, Limits(), media_type="audio/wav", count=10)
    assert not found.complete
    assert 0 < found.duration_s < 20
    assert len(found.values) == 10


def test_views_are_cached_by_their_tags(client: TestClient) -> None:
    part = chunk(client, "rates.pdf", "image")
    tags = set()
    for what in ("page", "page?width=500", "picture"):
        response = client.get(f"/v1/chunks/{part['id']}/{what}")
        tags.add(response.headers["etag"])
        assert "private" in response.headers["cache-control"]
        again = client.get(response.url, headers={"If-None-Match": response.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
    assert len(tags) == 3


def test_what_has_no_view_is_refused(client: TestClient, library: Library) -> None:
    note, picture = chunk(client, "note.md", "text"), chunk(client, "plates.tiff", "image")
    record = library.search("record about rates").hits[0].chunk_id
    for part, what in ((note, "page"), (note, "picture"), (note, "peaks"), (picture, "page")):
        problem = refused(client.get(f"/v1/chunks/{part['id']}/{what}"), 404, "not-found")
        assert "is not" in problem["detail"] or "has no" in problem["detail"]
    refused(client.get(f"/v1/chunks/{record}/peaks"), 404, "not-found")
    refused(client.get(f"/v1/chunks/{'0' * 24}:0/page"), 404, "not-found")
    paper = chunk(client, "rates.pdf", "text")["id"]
    missing = refused(client.get(f"/v1/chunks/{paper}/page?page=9"), 415, "unreadable")
    assert "has no page 9; its pages are 1 to 1" in missing["detail"]
    for wrong in ("width=10", "width=99999", "page=0", "colour=red"):
        refused(client.get(f"/v1/chunks/{paper}/page?{wrong}"), 422, "invalid")


def test_a_changed_or_missing_file_has_no_view(client: TestClient, folder: Path) -> None:
    cases = (("rates.pdf", "text", "page"), ("late.wav", "audio", "peaks"))
    for name, modality, what in cases:
        part = chunk(client, name, modality)
        assert client.get(f"/v1/chunks/{part['id']}/{what}").status_code == 200
        file = folder / name
        good, seen = file.read_bytes(), file.stat()
        file.write_bytes(good + b"\n")
        refused(client.get(f"/v1/chunks/{part['id']}/{what}"), 410, "gone")
        file.unlink()
        refused(client.get(f"/v1/chunks/{part['id']}/{what}"), 410, "gone")
        file.write_bytes(good)
        os.utime(file, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def test_moments_have_their_text(client: TestClient) -> None:
    query = {"text": "rates of both series", "per_document": 1, "all": True}
    found = client.post("/v1/search", json=query).json()["results"]
    moments = [moment for one in found for moment in one["moments"]]
    assert moments
    for moment in moments:
        part = client.get(f"/v1/chunks/{moment['id']}").json()
        assert moment["modality"] == part["modality"]
        assert moment["label"] == part["label"]
        assert bool(moment["snippet"]) == bool(part["text"])


def test_document_ids_are_counted_and_sorted_by(client: TestClient) -> None:
    for options in ({"text": "rates"}, {"where": "modality = 'text'"}):
        found = client.post("/v1/search", json={**options, "facets": ["document_id"]})
        assert found.status_code == 200, found.text
        assert all(one["count"] == 1 for one in found.json()["facets"][0]["counts"])
    counted = client.get("/v1/facets", params={"key": "document_id"}).json()["facets"][0]
    listed = client.get("/v1/documents", params={"sort": "-document_id"}).json()["documents"]
    ids = [one["id"] for one in listed if one["chunks"]]
    assert ids == sorted(ids, reverse=True)
    assert {one["value"] for one in counted["counts"]} == set(ids)
