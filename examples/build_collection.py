"""Draw the figures, synthesise the sounds and typeset the papers of the example collection.

    python examples/build_collection.py [--out DIR]

Writes into the package's `src/trawl/examples` by default, beside the texts and metadata that are
written by hand. Needs numpy, Pillow, soundfile and reportlab. Two builds on one machine are
byte-identical.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from parts import biology, layout, physics, scenes, sounds, tube_paper, yeast_paper

COLLECTION = Path(__file__).resolve().parent.parent / "src" / "trawl" / "examples"

FIGURES: dict[str, Callable[[], Image.Image]] = {
    "physics/figures/muon-decay-track.png": scenes.muon_decay_track,
    "physics/figures/muon-decay-curve.png": physics.muon_decay_curve,
    "physics/figures/z-boson-peak.png": physics.dimuon_spectrum,
    "physics/figures/higgs-two-photons.png": physics.invariant_mass_peak,
    "physics/figures/event-display.png": scenes.event_display,
    "physics/figures/half-life-fit.png": physics.half_life_fit,
    "physics/figures/geiger-histogram.png": physics.geiger_histogram,
    "physics/figures/chirp-spectrogram.png": physics.chirp_spectrogram,
    "physics/figures/phase-diagram.png": physics.phase_diagram,
    "physics/figures/galaxy-field.jpg": scenes.galaxy_field,
    "biology/figures/agarose-gel.jpg": biology.gel,
    "biology/figures/phylogenetic-tree.png": biology.phylogenetic_tree,
    "biology/figures/absorption-spectrum.png": biology.absorption_spectrum,
    "biology/figures/expression-heat-map.png": biology.expression_heat_map,
    "biology/figures/cell-micrograph.jpg": biology.cell_micrograph,
    "biology/figures/bird-sonogram.png": biology.bird_spectrogram,
    "biology/figures/protein-network.png": biology.protein_network,
    "biology/figures/metabolic-scaling.png": biology.allometry,
    "acoustics/figures/doppler-curve.png": physics.doppler_curve,
}

PAPERS: dict[str, Callable[[], layout.Article]] = {
    "acoustics/tube-resonances.pdf": tube_paper.article,
    "biology/yeast-growth.pdf": yeast_paper.article,
}


def build(out: Path) -> list[Path]:
    """Write the figures, sounds and papers into `out`; return their paths, sorted.

    A file with the same bytes is not rewritten, so that its modification time stays.
    """
    contents: dict[Path, bytes] = {}
    for name, draw in FIGURES.items():
        contents[out / name] = encode_picture(draw(), Path(name).suffix)
    for name, synthesise in sounds.SOUNDS.items():
        contents[out / "sounds" / name] = sounds.encode(synthesise(), Path(name).suffix)
    for name, article in PAPERS.items():
        contents[out / name] = layout.pdf(article())
    for path, data in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)
    return sorted(contents)


def encode_picture(picture: Image.Image, suffix: str) -> bytes:
    """Return the picture's bytes as JPEG for `.jpg` (photographs), else as PNG."""
    buffer = io.BytesIO()
    if suffix == ".jpg":
        picture.save(buffer, "JPEG", quality=90)
    else:
        picture.save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the media of Trawl's example collection.")
    parser.add_argument("--out", type=Path, default=COLLECTION, help="output directory")
    out: Path = parser.parse_args().out
    started = time.perf_counter()
    files = build(out)
    size_mb = sum(path.stat().st_size for path in files) / 1e6
    print(f"{len(files)} files, {size_mb:.1f} MB in {time.perf_counter() - started:.1f} s: {out}")


if __name__ == "__main__":
    main()
