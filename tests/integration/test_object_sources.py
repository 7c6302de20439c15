"""Adding source files from an object store: listing, changes, failures, originals."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from buckets import Gateway, new_bucket
from conftest import picture
from trawl import Library
from trawl.errors import GoneError, UsageError
from trawl.locations import Bucket


@pytest.fixture(scope="module")
def gateway(storage_options: dict[str, str]) -> Iterator[Gateway]:
    with Gateway(storage_options) as running:
        yield running


@pytest.fixture
def bucket(gateway: Gateway) -> Bucket:
    return Bucket(new_bucket(gateway.options), gateway.options)


@pytest.fixture
def library(tmp_path: Path, gateway: Gateway) -> Iterator[Library]:
    with Library(
        tmp_path / "library", create=True, storage_options=gateway.options, freshness_s=0
    ) as opened:
        yield opened


def jpeg() -> bytes:
    out = io.BytesIO()
    picture("red", "yellow").save(out, "JPEG")
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("notes/tides.txt", "The tide rises twice a day at the harbour.")
    return out.getvalue()


def fill(bucket: Bucket) -> None:
    sidecar = {"title": "Evening", "caption": "a red sunset over the sea", "year": 2019}
    for name, content in {
        "papers/muon #1.txt": b"A muon decays to an electron and two neutrinos.",
        "papers/sub/bread.md": b"# Bread\n\nKnead the dough and bake it.",
        "papers/sunset.jpg": jpeg(),
        "papers/sunset.jpg.json": json.dumps(sidecar).encode(),
        "papers/metadata.csv": b"file,author\nmuon #1.txt,Curie\n",
        "papers/all.zip": archive(),
        "papers/.hidden.txt": b"hidden",
        "papers/data.bin": b"\x00\x01\x02\x03" * 50,
        "papers/broken.pdf": b"%PDF-1.7 but nothing else",
        "papers-2/other.txt": b"Not below the prefix.",
    }.items():
        bucket.write(name, content)


def test_objects_are_added_as_the_files_of_a_folder_are(
    library: Library, bucket: Bucket, gateway: Gateway
) -> None:
    fill(bucket)
    top = f"{bucket.address}/papers"
    report = library.add(f"{top}/")
    assert [one.uri for one in report.failed] == [f"{top}/broken.pdf"]
    assert (report.added, report.skipped) == (5, 1)
    assert [one.uri for one in library.skipped().files] == [f"{top}/data.bin"]
    rows = {row.uri.removeprefix(f"{top}/"): row for row in library.documents(failed=False)}
    assert set(rows) == {
        "muon #1.txt", "sub/bread.md", "sunset.jpg", "all.zip", "all.zip!/notes/tides.txt",
    }  # fmt: skip
    assert rows["muon #1.txt"].metadata == {"author": "Curie"}
    assert (rows["sunset.jpg"].title, rows["sunset.jpg"].metadata) == ("Evening", {"year": 2019})
    assert rows["sub/bread.md"].title == "Bread"
    hit = library.search("a red sunset", modality="image", limit=1).hits[0]
    assert hit.uri == f"{top}/sunset.jpg"
    with library.original(hit.chunk_id).file as file:
        assert file.read() == jpeg()
    view = library.views.picture(hit.chunk_id, width_px=100)
    assert library.views.make(view, bytes).startswith(b"\xff\xd8")
    member = library.show(f"{top}/all.zip!/notes/tides.txt")
    with library.original(member.chunks[0].chunk_id).file as file:
        assert file.read().startswith(b"The tide")

    gateway.requests.clear()
    again = library.add(top)
    assert (again.unchanged, again.added, again.replaced) == (5, 0, 0)
    # Neither texts nor pictures are downloaded again: the failed file, the archive, the table,
    # the sidecar and the head of data.bin are.
    assert gateway.requests["GET"] < 9

    assert library.remove([f"{top}/sub"]) == 1


def test_changes_moves_and_deletions_are_followed(library: Library, bucket: Bucket) -> None:
    fill(bucket)
    top = f"{bucket.address}/papers"
    library.add(top)
    library.set_metadata(f"{top}/muon #1.txt", {"read": True})
    chunk_id = library.show(f"{top}/sub/bread.md").chunks[0].chunk_id
    bucket.write("papers/sub/bread.md", b"# Cake\n\nWhisk the eggs.")
    with pytest.raises(GoneError, match="changed after it was added"):
        library.original(chunk_id)
    bucket.write("papers/moved/muon #1.txt", bucket.read("papers/muon #1.txt"))
    bucket.write("papers/moved/metadata.csv", b"file,author\nmuon #1.txt,Curie\n")
    bucket.delete("papers/muon #1.txt")
    bucket.delete("papers/all.zip")
    report = library.add(top, prune=True)
    assert (report.replaced, report.moved, report.removed) == (1, 1, 2)
    assert library.show(f"{top}/moved/muon #1.txt").document.metadata["read"] is True
    assert library.show(f"{top}/sub/bread.md").document.title == "Cake"
    bucket.delete("papers/sub/bread.md")
    with pytest.raises(GoneError, match="does not exist"):
        library.original(library.show(f"{top}/sub/bread.md").chunks[0].chunk_id)
    report, _ = library.sync([top])
    assert report.removed == 1


def test_what_fails_is_reported_and_stops_nothing(
    library: Library, bucket: Bucket, gateway: Gateway, tmp_path: Path
) -> None:
    local = tmp_path / "local.txt"
    local.write_text("The local file.", "utf-8")
    bucket.write("a.txt", b"The first object.")
    bucket.write("empty.txt", b"")
    report = library.add(
        [local, bucket.address, f"{bucket.address}/nothing", "s3://no-such-bucket-here/x"]
    )
    assert report.added == 2
    assert {one.uri: one.reason.split(";")[0] for one in report.failed} == {
        f"{bucket.address}/nothing": "no object here, and none below",
        "s3://no-such-bucket-here/x": "cannot list x in s3://no-such-bucket-here: there is no "
        "such bucket",
        f"{bucket.address}/empty.txt": "empty file",
    }
    # A store that fails leaves the documents as they were, also with prune.
    quick = {**gateway.options, "client_max_retries": "0"}
    with Library(library.location.address, storage_options=quick, freshness_s=0) as other:
        gateway.failing = 1
        try:
            report = other.add(bucket.address, prune=True)
        finally:
            gateway.failing = 0
        assert [one.uri for one in report.failed] == [bucket.address]
        assert report.removed == 0
        assert other.show(f"{bucket.address}/a.txt").chunks
    with pytest.raises(UsageError, match="names no bucket"):
        library.add("s3://")


@pytest.mark.parametrize("place", ["directory", "store"])
def test_copies_serve_files_that_are_gone(
    place: str, bucket: Bucket, gateway: Gateway, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    text, packed = files / "a #1.txt", files / "all.zip"
    text.write_text("A muon decays.", "utf-8")
    packed.write_bytes(archive())
    address = str(files / "library") if place == "directory" else f"{bucket.address}/library"
    with Library(
        address, create=True, storage_options=gateway.options, cache_dir=tmp_path, freshness_s=0
    ) as library:

        def original(uri: str) -> bytes:
            with library.original(library.show(uri).chunks[0].chunk_id).file as file:
                return file.read()

        def copies() -> list[str]:
            found = library.location.entries("files/")
            return sorted(one.name.rpartition("/")[2] for one in found)

        assert library.add(files).added == 3
        assert copies() == []
        report = library.add(files, copy=True)
        assert (report.unchanged, report.failed) == (3, ())
        assert copies() == ["a #1.txt", "all.zip"]
        member = f"{packed}!/notes/tides.txt"
        packed.unlink()
        assert original(member).startswith(b"The tide")
        assert not library.show(str(packed)).gone
        # A copy is of the version that was indexed, and is replaced with it.
        text.write_text("A pion decays.", "utf-8")
        assert original(str(text)) == b"A muon decays."
        assert library.add(files).replaced == 1
        assert copies() == ["a #1.txt", "all.zip"]
        moved = text.rename(files / "b.txt")
        assert library.add(files, prune=True).moved == 1
        moved.unlink()
        assert original(str(moved)) == b"A pion decays."
        assert len(copies()) == 1
        assert library.search("pion").hits[0].gone is False
        assert library.remove(str(moved)) == 1
        assert copies() == []


def test_a_library_in_the_bucket_is_not_added_to_itself(
    bucket: Bucket, gateway: Gateway, tmp_path: Path
) -> None:
    bucket.write("texts/a.txt", b"The only text.")
    with Library(
        f"{bucket.address}/index", create=True, storage_options=gateway.options, cache_dir=tmp_path
    ) as library:
        bucket.write("index/uploads/1/b.txt", b"An upload.")
        report = library.add(bucket.address)
        assert (report.added, report.skipped, len(report.failed)) == (1, 0, 0)
        assert library.add(f"{bucket.address}/index/uploads/1/b.txt").added == 1
        assert urlsplit(library.documents()[0].uri).scheme == "s3"
