"""One writer in an object store: the lease, and the fence behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lance
import numpy as np
import pyarrow as pa
import pytest

from buckets import Gateway, new_bucket
from conftest import table
from trawl import Library
from trawl.errors import LeaseLostError, LibraryLockedError, LibraryReadOnlyError
from trawl.locations import Location, location_of
from trawl.store import lease as leases
from trawl.store import writer as writers
from trawl.store.lease import Lease


@pytest.fixture
def location(storage_options: dict[str, str]) -> Location:
    return location_of(new_bucket(storage_options), storage_options)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "TTL_S", 1.5)
    monkeypatch.setattr(leases, "_RENEW_S", 0.1)
    monkeypatch.setattr(leases, "_PAUSE_S", 0.05)


def pause(lease: Lease) -> None:
    """Stop renewing a lease, as a process that is stopped does."""
    lease._done.set()
    assert lease._renewing is not None
    lease._renewing.join()


def test_one_holder_at_a_time_which_is_named(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "TTL_S", 3.0)  # many renewals, on a busy machine too
    with Lease(location) as first:
        assert not first.unfinished
        with pytest.raises(LibraryLockedError, match=r"\(process \d+ on .+\)"):
            Lease(location, wait_s=4).__enter__()  # longer than the time to live: it is renewed
    with Lease(location) as second:
        assert not second.unfinished
    assert [entry.name for entry in location.entries(".leases/")] == [".leases/00000002"]


def test_a_writer_that_failed_leaves_the_library_unfinished(location: Location) -> None:
    with pytest.raises(ZeroDivisionError), Lease(location):
        raise ZeroDivisionError
    with Lease(location) as second:
        assert second.unfinished
        second.fence(())
    with Lease(location) as third:
        assert not third.unfinished


def test_a_lease_that_is_not_renewed_is_taken_over(location: Location) -> None:
    first = Lease(location)
    first.__enter__()
    pause(first)
    for _ in range(200):  # attempts that are shorter than the time to live
        try:
            second = Lease(location, wait_s=0).__enter__()
            break
        except LibraryLockedError:
            time.sleep(0.05)
    assert second.unfinished
    second.fence(())
    second.__exit__(None, None, None)
    first._renew_again = threading.Thread(target=first._renew)
    first._done.clear()
    first._renew_again.start()
    first._renew_again.join()
    with pytest.raises(LeaseLostError, match="took over"):
        first.check(())
    with Lease(location) as third:
        assert not third.unfinished


def test_a_late_contender_does_not_use_a_number_again(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        with Lease(location):
            pass
    last = Lease._last
    answers: list[Any] = [(1, b"")]
    monkeypatch.setattr(Lease, "_last", lambda self: answers.pop() if answers else last(self))
    with Lease(location) as lease:
        assert lease._number == 4


def test_a_holder_that_cannot_renew_stops(storage_options: dict[str, str]) -> None:
    with Gateway({**storage_options, "client_max_retries": "0"}) as gateway:
        location = location_of(new_bucket(storage_options), gateway.options)
        lease = Lease(location).__enter__()
        gateway.failing = 1
        assert lease._renewing is not None
        lease._renewing.join()
        with pytest.raises(LeaseLostError):
            lease.check(())
        lease.__exit__(None, None, None)


def test_a_bucket_that_may_only_be_read(storage_options: dict[str, str]) -> None:
    with Gateway(storage_options) as gateway:
        gateway.read_only = True
        location = location_of(new_bucket(storage_options), gateway.options)
        with pytest.raises(LibraryReadOnlyError, match=r"may not write \.leases/00000001"):
            Lease(location).__enter__()


# --- the fence ---------------------------------------------------------------------------


def rows(count: int, name: str = "a") -> pa.Table:
    vectors = np.random.default_rng(0).random(count * 8, np.float32)
    return pa.table(
        {
            "key": [f"{name}{n}" for n in range(count)],
            "number": list(range(count)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors), 8),
            "text": ["some words"] * count,
        }
    )


def merge(dataset: lance.LanceDataset) -> None:
    merging = dataset.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    merging.execute(rows(5))


def merge_and_delete(dataset: lance.LanceDataset) -> None:
    merging = dataset.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    merging.when_not_matched_by_source_delete("number = 3").execute(rows(5, "z"))


def rewrite(dataset: lance.LanceDataset) -> None:
    schema = pa.schema([("more", pa.int64())])
    transform = lance.batch_udf(output_schema=schema)(
        lambda batch: pa.record_batch([batch["number"]], schema=schema)
    )
    dataset.add_columns(transform, read_columns=["number"])


COMMITS: dict[str, Callable[[lance.LanceDataset], object]] = {
    "merge": merge,
    "merge and delete": merge_and_delete,
    "delete": lambda dataset: dataset.delete("number = 7"),
    "add a column": lambda dataset: dataset.add_columns(pa.schema([("more", pa.int64())])),
    "compute a column": rewrite,
    "rename a column": lambda dataset: dataset.alter_columns({"path": "number", "name": "n"}),
    "drop a column": lambda dataset: dataset.drop_columns(["number"]),
    "compact": lambda dataset: dataset.optimize.compact_files(target_rows_per_fragment=1_000),
    "update indexes": lambda dataset: dataset.optimize.optimize_indices(),
    "index vectors": lambda dataset: dataset.create_index(
        "vector", "IVF_FLAT", metric="cosine", num_partitions=2
    ),
}


@pytest.mark.parametrize("commit", COMMITS)
def test_the_engine_refuses_commits_from_before_a_restore(commit: str, tmp_path: Path) -> None:
    place = str(tmp_path / "table.lance")
    lance.write_dataset(rows(300), place).create_scalar_index("text", "INVERTED")
    for name in "bcd":
        lance.write_dataset(rows(10, name), place, mode="append")
    stale = lance.dataset(place)
    taken = lance.dataset(place)
    taken.restore()
    with pytest.raises(Exception, match="Incompatible transaction"):
        COMMITS[commit](stale)
    assert lance.dataset(place).version == taken.version


@pytest.fixture
def tables(location: Location) -> Callable[[], lance.LanceDataset]:
    """Open one table, which has five rows at first."""
    options = location.storage_options
    lance.write_dataset(rows(5), location.table("one"), storage_options=options)
    return lambda: lance.dataset(location.table("one"), storage_options=options)


def take_over(location: Location) -> Lease:
    """Take the lease from a holder that does not renew it."""
    return Lease(location, wait_s=10).__enter__()


def test_a_commit_during_the_fence_is_kept(
    location: Location,
    tables: Callable[[], lance.LanceDataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused, stale = Lease(location).__enter__(), tables()
    pause(paused)
    restore, late = lance.LanceDataset.restore, [rows(3, "late")]

    def commit_first(dataset: lance.LanceDataset) -> None:
        if late:
            stale.insert(late.pop())
        restore(dataset)

    monkeypatch.setattr(lance.LanceDataset, "restore", commit_first)
    second, taken = take_over(location), tables()
    second.fence([taken])
    second.check([taken])
    assert taken.count_rows() == 8
    assert tables().count_rows() == 8
    with pytest.raises(Exception, match="Incompatible transaction"):
        stale.delete("number = 1")
    stale.checkout_latest()
    with pytest.raises(LeaseLostError):
        paused.check([stale])
    second.__exit__(None, None, None)


def test_a_fence_that_was_not_finished_is_left_to_the_next(
    location: Location, tables: Callable[[], lance.LanceDataset]
) -> None:
    first, stale = Lease(location).__enter__(), tables()
    pause(first)
    take_over(location).__exit__(None, None, None)  # ends before it has opened the tables
    with Lease(location) as third:
        third.fence([tables()])
    with pytest.raises(Exception, match="Incompatible transaction"):
        stale.delete("number = 1")


def test_a_table_that_was_restored_under_its_writer_stops_it(
    location: Location, tables: Callable[[], lance.LanceDataset]
) -> None:
    first = Lease(location).__enter__()
    pause(first)
    earlier = tables()
    second, taken = take_over(location), tables()
    second.fence([taken])
    earlier.restore()  # by a holder that was paused while it fenced
    taken.checkout_latest()
    with pytest.raises(LeaseLostError):
        second.check([taken])
    second.__exit__(None, None, None)


def test_a_holder_that_slept_stops_though_many_leases_have_passed(location: Location) -> None:
    first = Lease(location).__enter__()
    pause(first)
    for _ in range(2):
        take_over(location).__exit__(None, None, None)
    first._done.clear()
    first._renew()
    with pytest.raises(LeaseLostError):
        first.check(())
    assert [entry.name for entry in location.entries(".leases/")] == [".leases/00000003"]
    first.__exit__(None, None, None)


@pytest.fixture
def libraries(storage_options: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], Library]]:
    """Open libraries at one address."""
    address = new_bucket(storage_options)
    opened: list[Library] = []

    def library() -> Library:
        opened.append(
            Library(
                address,
                create=True,
                storage_options=storage_options,
                cache_dir=tmp_path / "cache",
            )
        )
        return opened[-1]

    yield library
    for one in opened:
        one.close()


def contents(library: Library) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables, without the times."""
    found = {}
    for name, key in (("chunks", "chunk_id"), ("documents", "document_id"), ("media", "chunk_id")):
        read = table(library, name).to_table().sort_by(key)
        kept = [column for column in read.schema.names if column not in ("added_at", "seconds")]
        found[name] = read.select(sorted(kept)).to_pylist()
    return found


@pytest.mark.parametrize("key", ["chunk_id", "document_id"])
def test_a_paused_writer_whose_lease_was_taken_commits_nothing_more(
    key: str,
    libraries: Callable[[], Library],
    collection: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paused, other = libraries(), libraries()
    paused.add(collection / "bread.txt")
    reached, resume = threading.Event(), threading.Event()
    upsert = writers._upsert
    errors: list[BaseException] = []

    def stop_once(dataset: lance.LanceDataset, rows: object, on: str, replaced: Any) -> None:
        if on == key and not reached.is_set():
            reached.set()
            resume.wait(60)
        upsert(dataset, rows, on, replaced)

    def add() -> None:
        try:
            paused.add(collection / "muons.md")
        except BaseException as error:
            errors.append(error)

    monkeypatch.setattr(writers, "_upsert", stop_once)
    monkeypatch.setattr(Lease, "_renew", lambda self: None)  # a stopped process renews nothing
    thread = threading.Thread(target=add)
    thread.start()
    assert reached.wait(60)
    other.add(collection / "long.txt")
    resume.set()
    thread.join()
    assert [type(error) for error in errors] == [LeaseLostError]
    with Library(tmp_path / "clean", create=True) as clean:
        clean.add(collection / "bread.txt")
        clean.add(collection / "long.txt")
        assert contents(other) == contents(clean)
    paused.add(collection / "muons.md")
    assert paused.search("muon decay", limit=1).hits[0].uri.endswith("muons.md")
