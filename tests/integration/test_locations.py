"""Files of a library in a directory and in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from buckets import Gateway, new_bucket
from trawl.errors import LibraryError, StorageError, UsageError
from trawl.locations import Directory, Location, location_of, prove_exclusive


@pytest.fixture(params=["directory", "bucket"])
def location(
    request: pytest.FixtureRequest, tmp_path: Path, storage_options: dict[str, str]
) -> Iterator[Location]:
    if request.param == "directory":
        yield location_of(tmp_path / "library")
    else:
        yield location_of(new_bucket(storage_options) + "/some/library", storage_options)


def test_files_are_written_replaced_listed_and_deleted(location: Location) -> None:
    assert not location.exists("a/b.json")
    with pytest.raises(FileNotFoundError):
        location.read("a/b.json")
    location.write("a/b.json", b"one")
    before = location.entry("a/b.json")
    location.write("a/b.json", b"three")
    after = location.entry("a/b.json")
    assert location.read("a/b.json") == b"three"
    assert before is not None
    assert after is not None
    assert (before.size, after.size) == (3, 5)
    assert before.tag != after.tag
    location.write("c", b"")
    assert sorted(entry.name for entry in location.entries()) == ["a/b.json", "c"]
    assert [entry.name for entry in location.entries("a/")] == ["a/b.json"]
    location.delete("a/b.json")
    location.delete("a/b.json")
    assert location.entry("a/b.json") is None


def test_a_file_is_created_once(location: Location) -> None:
    location.create("one", b"first")
    with pytest.raises(FileExistsError):
        location.create("one", b"second")
    assert location.read("one") == b"first"
    assert [entry.name for entry in location.entries()] == ["one"]


def test_a_store_that_keeps_creates_is_accepted_and_left_clean(location: Location) -> None:
    prove_exclusive(location)
    assert list(location.entries()) == []


def test_a_store_that_ignores_the_condition_is_refused(storage_options: dict[str, str]) -> None:
    with Gateway(storage_options) as gateway:
        gateway.ignored = ("If-None-Match",)
        location = location_of(new_bucket(storage_options), gateway.options)
        with pytest.raises(LibraryError, match="If-None-Match"):
            prove_exclusive(location)
        assert list(location.entries()) == []


def test_a_missing_bucket_is_named(storage_options: dict[str, str]) -> None:
    location = location_of("s3://no-such-bucket/library", storage_options)
    with pytest.raises(FileNotFoundError):
        location.read("library.json")
    with pytest.raises(StorageError, match="no such bucket"):
        location.write("library.json", b"")


def test_a_store_that_does_not_answer_is_named(storage_options: dict[str, str]) -> None:
    options = {
        **storage_options,
        "aws_endpoint": "http://127.0.0.1:9",
        "client_max_retries": "0",
    }
    with pytest.raises(StorageError, match=r"cannot read x in s3://bucket/library.*endpoint"):
        location_of("s3://bucket/library", options).read("x")


@pytest.mark.parametrize(
    ("address", "options", "variable"),
    [
        (
            "s3://bucket/library",
            {"aws_metadata_endpoint": "http://127.0.0.1:9"},
            "AWS_ACCESS_KEY_ID",
        ),
        (
            "az://bucket/library",
            {
                "azure_storage_account_name": "one",
                "azure_msi_endpoint": "http://127.0.0.1:9/metadata/identity/oauth2/token",
            },
            "AZURE_STORAGE_ACCOUNT_KEY",
        ),
    ],
)
def test_missing_credentials_are_named(
    address: str, options: dict[str, str], variable: str
) -> None:
    location = location_of(address, {**options, "client_max_retries": "0"})
    with pytest.raises(StorageError, match=f"no credentials are set.*set .*{variable}"):
        location.read("x")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://", "names no bucket"),
        ("ftp://host/library", "use a directory, or s3://, gs://, az://"),
        ("https://host/library", "use --server for a server"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        location_of(address)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(UsageError, match="nonsense"):
        location_of("s3://bucket/library", {"nonsense": "1"})


def test_a_path_is_a_directory(tmp_path: Path) -> None:
    found = location_of(tmp_path)
    assert isinstance(found, Directory)
    assert found.path == tmp_path
    assert found.table("chunks") == str(tmp_path / "chunks.lance")
