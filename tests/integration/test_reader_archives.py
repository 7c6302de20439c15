"""Archives: their members are documents, whatever is in them."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from trawl import Library
from trawl.errors import GoneError, NotFoundError
from trawl.readers import archives


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library", create=True)


def uris(library: Library, folder: Path) -> dict[str, str | None]:
    """Return the error of each document by its address below a folder."""
    found = library.documents()
    return {row.uri.removeprefix(f"{folder}/"): row.error for row in found}


def zipped(path: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(stream, "PNG")
    return stream.getvalue()


def test_members_are_documents_that_are_shown_served_and_removed(
    library: Library, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    archive = zipped(
        folder / "papers.zip",
        {
            "2024/muons.md": "# Muons\n\nA muon decays.\n\n![the beam line](plot.png)\n",
            "2024/plot.png": picture(),
            "2024/plot.png.json": '{"run": 7}',
            "program.bin": bytes(range(256)),
            "__MACOSX/x.txt": "hidden",
            ".hidden/y.txt": "hidden",
        },
    )
    report = library.add(folder)
    assert (report.added, report.skipped, report.failed) == (3, 1, ())
    assert uris(library, folder) == {
        "papers.zip": None,
        "papers.zip!/2024/muons.md": None,
        "papers.zip!/2024/plot.png": None,
    }
    (hit,) = library.search("beam line", modality="image").hits
    assert hit.uri == f"{archive}!/2024/plot.png"
    assert hit.metadata["run"] == 7
    with library.original(hit.chunk_id).file as stream:
        assert stream.read() == picture()
    assert library.show(f"{archive}!/2024/muons.md").document.title == "Muons"
    assert library.add(folder).unchanged == 3
    assert library.remove(f"{archive}!/2024/muons.md") == 1
    assert library.remove(archive) == 2
    with pytest.raises(NotFoundError):
        library.remove(archive)


def test_a_changed_archive_replaces_adds_and_prunes_members(
    library: Library, tmp_path: Path
) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.txt": "one", "b.txt": "two", "c.txt": "three"})
    library.add(archive)
    chunk_id = library.show(f"{archive}!/b.txt").chunks[0].chunk_id
    zipped(archive, {"a.txt": "one", "b.txt": "2", "d.txt": "four"})
    os.utime(archive, ns=(1, 1))
    with pytest.raises(GoneError, match="add it again"):
        library.original(chunk_id)
    report = library.add(archive, prune=True)
    # The archive, which has no chunks, counts as added.
    assert (report.unchanged, report.replaced, report.added, report.removed) == (1, 1, 2, 1)
    assert set(uris(library, tmp_path)) == {"a.zip", "a.zip!/a.txt", "a.zip!/b.txt", "a.zip!/d.txt"}
    archive.unlink()
    assert library.add(tmp_path, prune=True).removed == 4


def test_a_copy_of_a_member_is_a_document_of_its_own(library: Library, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.txt": "a muon decays"})
    library.add(archive)
    (tmp_path / "a.txt").write_text("a muon decays")
    assert library.add(tmp_path / "a.txt").added == 1
    assert set(uris(library, tmp_path)) == {"a.zip", "a.zip!/a.txt", "a.txt"}


def test_archives_in_archives_up_to_three_levels(library: Library, tmp_path: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", {"deep.txt": "a deep muon"}).read_bytes()
    for _ in range(3):
        inner = zipped(tmp_path / "inner.zip", {"inner.zip": inner, "x.txt": "words"}).read_bytes()
    report = library.add(tmp_path / "inner.zip")
    (failure,) = report.failed
    assert failure.uri.endswith("inner.zip!/inner.zip!/inner.zip!/inner.zip")
    assert "more than 3 levels" in failure.reason
    (hit, *_) = library.search("words").hits
    with library.original(hit.chunk_id).file as stream:
        assert stream.read() == b"words"


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tgz", "tar.bz2", "tar.xz"])
def test_tar_archives(library: Library, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with tarfile.open(
        path, f"w:{suffix.removeprefix('tar').lstrip('.').replace('tgz', 'gz')}"
    ) as tar:
        for name in ("folder/a.txt", "/etc/absolute.txt", "../outside.txt", "folder/a.txt"):
            info = tarfile.TarInfo(name)
            info.size = 12
            tar.addfile(info, io.BytesIO(b"a tar member"))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    report = library.add(path)
    assert not report.failed
    assert set(uris(library, tmp_path)) == {path.name, f"{path.name}!/folder/a.txt"}
    assert sorted(one.notice for one in report.notices) == [
        "links, pipes and devices are left out: 1",
        "members that lead out of the archive, or have no valid name are left out: 2",
        "members whose name occurs again later are left out: 1",
    ]
    (hit,) = library.search("member").hits
    with library.original(hit.chunk_id).file as stream:
        assert stream.read() == b"a tar member"


def test_attachments_of_a_mail_are_documents(library: Library, tmp_path: Path) -> None:
    inner = EmailMessage()
    inner["Subject"] = "Forwarded"
    inner.set_content("the inner words")
    message = EmailMessage()
    message["Subject"] = "Plots"
    message.set_content("see the plot")
    message.add_attachment(picture(), "image", "png", filename="plot.png")
    message.add_attachment("a,b\n1,2\n", filename="data.csv")
    message.add_attachment(inner)
    path = tmp_path / "a.eml"
    path.write_bytes(bytes(message))
    assert library.add(path).added == 4
    assert set(uris(library, tmp_path)) == {
        "a.eml",
        "a.eml!/plot.png",
        "a.eml!/data.csv",
        "a.eml!/mail.eml",
    }
    assert library.remove(library.show(path).document.document_id) == 4


def test_bombs_encrypted_and_damaged_members_fail_alone(library: Library, tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "a.zip",
        {
            "bomb.txt": b" " * (65 << 20),
            "good.txt": "a muon",
            "locked.txt": "x",
            "bad.txt": "y" * 99,
        },
    )
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        infos = {info.filename: info for info in archive.infolist()}
    at = data.rfind(b"locked.txt") - 46  # its entry in the directory
    data[at + 8] |= 1
    bad = infos["bad.txt"]
    data[bad.header_offset + 30 + len("bad.txt") + 1] ^= 0xFF
    path.write_bytes(data)
    reasons = {one.uri.rpartition("/")[2]: one.reason for one in library.add(path).failed}
    assert set(reasons) == {"bomb.txt", "locked.txt", "bad.txt"}
    assert "as in a ZIP bomb" in reasons["bomb.txt"]
    assert "encrypted" in reasons["locked.txt"]
    assert "cannot be extracted: the archive is damaged" in reasons["bad.txt"]
    assert len(library.search("muon").hits) == 1


def test_an_archive_beyond_the_limits_is_refused_whole(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped(tmp_path / "a.zip", {f"{n}.txt": f"words {n}" for n in range(20)})
    monkeypatch.setattr(archives, "MAX_MEMBERS", 10)
    (failure,) = library.add(path).failed
    assert failure.uri == str(path)
    assert "more than 10 members" in failure.reason


def test_truncated_archives_are_refused(library: Library, tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar.gz"):
        path = tmp_path / name
        if name == "a.zip":
            zipped(path, {"a.txt": "words " * 100})
        else:
            with tarfile.open(path, "w:gz") as tar:
                info = tarfile.TarInfo("a.txt")
                info.size = 20_000
                tar.addfile(info, io.BytesIO(os.urandom(20_000)))
        path.write_bytes(path.read_bytes()[:-60])
        (failure,) = library.add(path).failed
        assert failure.reason.startswith("the archive is damaged"), failure


def test_thousands_of_members_and_no_files_left_behind(library: Library, tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("trawl-*"))
    many = {f"{n // 100}/{n}.txt": f"muon number {n}" for n in range(2_000)}
    assert library.add(zipped(tmp_path / "a.zip", many)).added == 2_001
    assert set(Path(tempfile.gettempdir()).glob("trawl-*")) <= before
