"""Builds the example collection: texts, figures and sounds with their metadata.

    python examples/build_collection.py [--out DIR]

Needs numpy, Pillow and soundfile. Two builds on one machine give the same bytes.
The texts and the metadata are copied from `texts/`; the figures and the sounds are made.
"""

from __future__ import annotations

import argparse
import io
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from parts import biology, physics, scenes, sounds

HERE = Path(__file__).resolve().parent

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


def build(out: Path) -> list[Path]:
    """Writes the collection into `out` and returns its files, sorted.

    A file whose bytes would not change is left alone, so that its time stamp stays.
    """
    made: dict[Path, bytes] = {}
    for source in sorted((HERE / "texts").rglob("*")):
        if source.is_file():
            made[out / source.relative_to(HERE / "texts")] = source.read_bytes()
    for name, draw in FIGURES.items():
        made[out / name] = encode_picture(draw(), Path(name).suffix)
    for name, synthesise in sounds.SOUNDS.items():
        made[out / "sounds" / name] = sounds.encode(synthesise(), Path(name).suffix)
    made[out / "sounds" / "spoken.ogg"] = (HERE / "spoken.ogg").read_bytes()
    for path, data in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            path.write_bytes(data)
    return sorted(made)


def encode_picture(picture: Image.Image, suffix: str) -> bytes:
    """The file's bytes: `.jpg` for what looks like a photograph, else `.png`."""
    buffer = io.BytesIO()
    if suffix == ".jpg":
        picture.save(buffer, "JPEG", quality=90)
    else:
        picture.save(buffer, "PNG", compress_level=7)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description="Builds Trawl's example collection.")
    parser.add_argument("--out", type=Path, default=HERE / "collection", help="where to put it")
    parser.add_argument("--clean", action="store_true", help="empty that place first")
    options = parser.parse_args()
    started = time.perf_counter()
    if options.clean and options.out.exists():
        if not (options.out / "sounds" / "metadata.jsonl").is_file():
            parser.error(f"{options.out} is not an example collection; nothing was removed")
        shutil.rmtree(options.out)
    files = build(options.out)
    size = sum(path.stat().st_size for path in files) / 1e6
    took = time.perf_counter() - started
    print(f"{len(files)} files, {size:.1f} MB in {took:.1f} s: {options.out}")


if __name__ == "__main__":
    main()
