"""Mails (.eml): the headers as metadata, the text, and pictures inside it.

Attached files are members of the mail, as files are of an archive (`trawl.readers.archives`).
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from trawl.errors import ReadError
from trawl.readers.flow import Flow, clean, one_line
from trawl.readers.formats import MIB, Format, Limits, read_bytes, stem_title
from trawl.readers.html_source import data_picture
from trawl.readers.text import MAX_TITLE_CHARS
from trawl.readers.web import Page
from trawl.types import Metadata, Reading

MAX_MAIL_BYTES = 256 * MIB
MAX_PARTS = 1_000
_MEDIA_TYPE = "message/rfc822"
_HEADER = re.compile(
    rb"(?:Return-Path|Received|MIME-Version|Delivered-To|Message-ID|From|Date|Subject): ", re.I
)


def read_mail(path: Path, limits: Limits) -> Reading:
    """Read a mail. The title is its subject, else the file's name. Raises `ReadError`."""
    message = parse_mail(path)
    flow = Flow(limits)
    subject = _header(message, "subject")
    if subject:
        flow.paragraph(subject)
    named = attachments(message)
    inline = {
        str(part.get("content-id", "")).strip("<> \t"): part
        for part in _parts(message)
        if part.get("content-id") and part.get_content_maintype() == "image"
    }
    body = message.get_body(("html", "plain"))
    if isinstance(body, EmailMessage) and not body.is_attachment():
        _add_body(flow, body, inline)
    if named:
        flow.paragraph("Attachments: " + ", ".join(name for name, _ in named))
    return flow.reading(
        _MEDIA_TYPE, subject[:MAX_TITLE_CHARS] or stem_title(path), _metadata(message)
    )


def parse_mail(path: Path) -> EmailMessage:
    """Parse a mail. Raises `ReadError` for a file without the headers of one."""
    message = email.message_from_bytes(
        read_bytes(path, MAX_MAIL_BYTES), policy=email.policy.default
    )
    if not isinstance(message, EmailMessage) or not any(
        name in message for name in ("from", "to", "date", "subject")
    ):
        raise ReadError("not a mail: it has none of the headers From, To, Date and Subject")
    return message


def attachments(message: EmailMessage) -> list[tuple[str, EmailMessage]]:
    """Return the attached files by name; a mail attached to a mail is a file too."""
    found: list[tuple[str, EmailMessage]] = []
    for part in _parts(message):
        name = one_line(str(part.get_filename() or "")).replace("/", "_")
        if part.get_content_type() == _MEDIA_TYPE:
            found.append((name or "mail.eml", part))
        elif name and (part.is_attachment() or not (part.is_multipart() or part["content-id"])):
            found.append((name, part))
    return found


def payload(part: EmailMessage) -> bytes:
    """Return the content of an attachment."""
    if part.get_content_type() == _MEDIA_TYPE:
        inner: Any = part.get_payload(0)
        return bytes(inner.as_bytes())
    data = part.get_payload(decode=True)
    return data if isinstance(data, bytes) else b""


def _parts(message: EmailMessage) -> Iterator[EmailMessage]:
    """Yield the parts of a mail, at most `MAX_PARTS`, but not those of mails attached to it."""
    waiting: list[Any] = [message]
    count = 0
    while waiting and count < MAX_PARTS:
        part = waiting.pop(0)
        count += 1
        yield part
        if part.is_multipart() and part.get_content_type() != _MEDIA_TYPE:
            waiting += part.iter_parts()


def _add_body(flow: Flow, body: EmailMessage, inline: dict[str, EmailMessage]) -> None:
    try:
        text = clean(str(body.get_content()))
    except (LookupError, ValueError, KeyError):  # an unknown or wrong encoding
        data = body.get_payload(decode=True)
        text = clean(data.decode("utf-8", "replace")) if isinstance(data, bytes) else ""
        flow.notices.append("the text has an unknown encoding; some characters may be wrong")
    if body.get_content_subtype() != "html":
        for paragraph in text.replace("\r\n", "\n").split("\n\n"):
            flow.paragraph(paragraph)
        return

    def embedded(target: str) -> Callable[[], bytes] | None:
        part = inline.get(target[4:]) if target.lower().startswith("cid:") else None
        return (lambda: payload(part)) if part is not None else data_picture(target)

    page = Page(text, flow, embedded)
    page.read()
    remote = {target for target in page.other_pictures if not target.lower().startswith("cid:")}
    if remote:
        flow.notices.append(f"pictures on other servers are not indexed: {len(remote):,}")


def _metadata(message: EmailMessage) -> Metadata:
    """Return the sender, the recipients and the date. Headers that cannot be read are left out."""
    metadata: Metadata = {}
    sender = _header(message, "from")
    if sender:
        metadata["from"] = sender
    recipients = [one for name in ("to", "cc") for one in _addresses(message, name)]
    if recipients:
        metadata["to"] = recipients
    with suppress(ValueError, TypeError, IndexError, AttributeError):
        metadata["date"] = parsedate_to_datetime(str(message["date"]))
    return metadata


def _addresses(message: EmailMessage, name: str) -> list[str]:
    with suppress(Exception):  # the parser of addresses raises many types for invalid ones
        return [one_line(str(one)) for one in message[name].addresses]
    return [text] if (text := _header(message, name)) else []


def _header(message: EmailMessage, name: str) -> str:
    with suppress(Exception):  # as above
        return one_line(str(message.get(name, "")))
    return ""


def _is_mail(head: bytes) -> bool:
    return _HEADER.match(head) is not None


FORMATS = (Format(_MEDIA_TYPE, "text", "a mail", frozenset({".eml"}), read_mail, _is_mail),)
