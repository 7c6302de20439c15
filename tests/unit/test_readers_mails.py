"""The reader of mails."""

from __future__ import annotations

import datetime
import io
from email.message import EmailMessage
from pathlib import Path

import pytest
from PIL import Image

from trawl.errors import ReadError
from trawl.readers import media_type_of, read
from trawl.types import Passages, Picture, Reading

MAIL = "message/rfc822"


def reading(folder: Path, message: EmailMessage | bytes) -> Reading:
    path = folder / "a.eml"
    path.write_bytes(message if isinstance(message, bytes) else bytes(message))
    assert media_type_of(path) == MAIL
    return read(path, MAIL)


def mail(subject: str = "Über Myonen") -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Lise Meitner <lise@example.org>"
    message["To"] = "otto@example.org, Fritz <fritz@example.org>"
    message["Date"] = "Mon, 06 May 2024 07:08:09 +0200"
    message["Subject"] = subject
    return message


def test_a_mail_is_its_subject_and_text(tmp_path: Path) -> None:
    message = mail()
    message.set_content("Dear Otto,\n\nthey decay: 2,2 µs.\n")
    message.add_attachment(b"%PDF-", maintype="application", subtype="pdf", filename="plot.pdf")
    found = reading(tmp_path, message)
    assert found.title == "Über Myonen"
    assert found.metadata == {
        "from": "Lise Meitner <lise@example.org>",
        "to": ["otto@example.org", "Fritz <fritz@example.org>"],
        "date": datetime.datetime.fromisoformat("2024-05-06T07:08:09+02:00"),
    }
    (part,) = found.parts
    assert isinstance(part, Passages)
    assert part.text == (
        "Über Myonen\n\nDear Otto,\n\nthey decay: 2,2 µs.\n\nAttachments: plot.pdf"
    )


def test_a_mail_of_html_has_its_pictures(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(stream, "PNG")
    message = mail()
    message.set_content("plain")
    message.add_alternative(
        "<p>Look:</p><img src='cid:b1' alt='a beam'><img src='https://e.org/track.gif'>", "html"
    )
    message.get_payload(1).add_related(stream.getvalue(), "image", "png", cid="<b1>")
    found = reading(tmp_path, message)
    text, picture = found.parts
    assert isinstance(text, Passages)
    assert text.text == "Über Myonen\n\nLook:\n\na beam"
    assert isinstance(picture, Picture)
    assert picture.caption == "a beam"
    assert found.notices == ("pictures on other servers are not indexed: 1",)


def test_a_mail_with_wrong_headers_is_read(tmp_path: Path) -> None:
    source = (
        b"From: \xff\xfe <<>>,;\nTo: =?bad?Q?x?=\nDate: yesterday\nSubject: =?utf-8?b?w4Q=?=\n"
        b"Content-Type: text/plain; charset=nonsense\n\ncaf\xc3\xa9\n"
    )
    found = reading(tmp_path, source)
    assert found.title == "Ä"
    assert "date" not in found.metadata
    (part,) = found.parts
    assert isinstance(part, Passages)
    assert part.text == "Ä\n\ncafé"
    assert len(found.notices) == 1


def test_what_is_no_mail_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="not a mail"):
        reading(tmp_path, b"only words\n\nand more")
