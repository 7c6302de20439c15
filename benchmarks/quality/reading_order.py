"""The order of reading of PDF documents, as they are and scrambled, and the reader's speed.

A pair of lines that follow each other in a column is kept if they do so in the text that is read.
The pairs come from the order of the files, which LaTeX and Typst write in the order of reading. A
scrambled document has the same words at the same places, in the order of rows across columns.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import pypdfium2

from common import data_folder
from trawl.readers import read
from trawl.readers.pdf.pages import read_page
from trawl.types import Part, Passages, Picture

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
from pdf_scrambler import kept, neighbours, scrambled

LONG = 1_000
"""Pages of the document that shows how memory grows."""


def text_of(parts: Iterable[Part]) -> str:
    """Return the text of passages, and the captions and words of figures."""
    texts = []
    for part in parts:
        if isinstance(part, Passages):
            texts.append(part.text)
        elif isinstance(part, Picture):
            texts += [part.caption, part.words]
    return " ".join(texts)


def in_file_order(path: Path) -> str:
    """Return the text of a document in the order of the file, as pdfium does."""
    document = pypdfium2.PdfDocument(path)
    texts = [page.get_textpage().get_text_bounded() for page in document]
    document.close()
    return " ".join(texts)


def as_file(folder: Path, data: bytes) -> Path:
    path = folder / "scrambled.pdf"
    path.write_bytes(data)
    return path


def order(paths: list[Path]) -> None:
    print("| document | pairs | native | scrambled | order of the scrambled file |")
    print("|---|---|---|---|---|")
    sums = [0, 0, 0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            pairs = neighbours(path)
            native = sum(kept(pairs, text_of(read(path, "application/pdf").parts)))
            copy = as_file(Path(folder), scrambled(path))
            mixed = sum(kept(pairs, text_of(read(copy, "application/pdf").parts)))
            baseline = sum(kept(pairs, in_file_order(copy)))
            counts = len(pairs), native, mixed, baseline
            sums = [a + b for a, b in zip(sums, counts, strict=True)]
            print(f"| {path.name} | {' | '.join(map(str, counts))} |")
    print(f"| all | {sums[0]} | {' | '.join(f'{count / sums[0]:.3f}' for count in sums[1:])} |")


def speed(paths: list[Path]) -> None:
    pages = 0
    started = time.process_time()
    for path in paths:
        document = pypdfium2.PdfDocument(path)
        for number, page in enumerate(document, start=1):
            read_page(page, number)
            page.close()
            pages += 1
        document.close()
    words_s = time.process_time() - started
    started = time.process_time()
    for path in paths:
        text_of(read(path, "application/pdf").parts)
    all_s = time.process_time() - started
    print(f"\n{pages} pages, one core: lines {pages / words_s:.0f} pages/s, ", end="")
    print(f"text, figures and tables {pages / all_s:.0f} pages/s")


def memory(path: Path) -> None:
    """Print the peak memory for a document that repeats another one."""
    with tempfile.TemporaryDirectory() as folder:
        source, long = pypdfium2.PdfDocument(path), pypdfium2.PdfDocument.new()
        while len(long) < LONG:
            long.import_pages(source)
        copy = Path(folder) / "long.pdf"
        long.save(copy)
        long.close()
        source.close()
        peaks = []
        for at, _ in enumerate(read(copy, "application/pdf").parts):
            if at % 500 == 0:
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    print(f"\n{LONG:,} pages: peak memory along the way {peaks} MiB")


def main() -> None:
    folder = data_folder("papers")
    paths = sorted(folder.glob("*.pdf"))
    order(paths)
    order(sorted(folder.with_name("office").glob("pdf/right*.pdf")))
    speed(paths)
    memory(folder / "Place-recognition-evaluation.pdf")


if __name__ == "__main__":
    main()
