"""From a Hugging Face checkpoint to a model of Trawl: ONNX graphs, a tokenizer and a card.

Needs the extra `trawl-multimodal[torch]`, which also brings `onnx` and `onnxscript`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from trawl.encoders.cards import CARD, Card
from trawl.encoders.checkpoints import Checkpoint, Options
from trawl.encoders.torch_network import inputs_of, load_module
from trawl.errors import ModelError
from trawl.types import Modality

FAMILIES: Mapping[str, str] = {
    name: f"trawl.encoders.{name}" for name in ("clip", "siglip", "clap", "sentence")
}
_OPSET = 18
_TOKENIZER = "tokenizer.json"


def family_of(checkpoint: Checkpoint) -> str:
    """Tell a checkpoint's family. Raises `ModelError` for one that Trawl does not run."""
    found = str(checkpoint.config.get("model_type", ""))
    for family, module in FAMILIES.items():
        if found in import_module(module).MODEL_TYPES:
            return family
    raise ModelError(
        f"{checkpoint.directory} is of the type {found!r}; "
        f"Trawl runs the families {', '.join(FAMILIES)}"
    )


def export(source: Path, target: Path, *, name: str = "", licence: str = "unknown") -> Path:
    """Write a checkpoint's towers as a model into a new folder; give the card's path.

    The folder appears whole or not at all. Raises `ModelError` for a checkpoint that is
    not of the families, and where the folder is already there.
    """
    checkpoint = Checkpoint(source)
    family = family_of(checkpoint)
    with _building(target) as building:
        _write_tokenizer(checkpoint, building)
        described = Checkpoint(_with_tokenizer(checkpoint, building))
        dimension, towers = import_module(FAMILIES[family]).describe(described)
        shutil.rmtree(described.directory)
        for modality, options in towers.items():
            options["graph"] = f"{modality}.onnx"
            _write_graph(source, family, modality, options, building / options["graph"])
        card = _card(name or target.name, family, licence, dimension, towers, building)
        (building / CARD).write_text(card, "utf-8")
    return target / CARD


def quantise(model: Card, target: Path, *, name: str = "") -> Path:
    """Write a model whose matrix products are of 8-bit integers; give the new card's path.

    The weights are quantised by output channel, what they are multiplied with as it
    comes, and the vectors of tokens as one table. It is a model of its own: its vectors
    are not those of the first. The folder appears whole or not at all. Raises
    `ModelError` where the towers are no graphs.
    """
    with _building(target) as building:
        towers: dict[Modality, Options] = {}
        for modality, tower in model.towers.items():
            if "graph" not in tower.options:
                raise ModelError(f"{model.name} has no graphs to quantise; export it first")
            options = dict(tower.options) | {"graph": f"{modality}.onnx"}
            if "tokenizer" in options:
                options["tokenizer"] = _TOKENIZER
            _quantise(tower.path(tower.options["graph"]), building / options["graph"])
            if modality == "text":
                kept = tower.path(tower.options.get("tokenizer", _TOKENIZER))
                shutil.copyfile(kept, building / _TOKENIZER)
            towers[modality] = options
        new = name or target.name
        card = _card(new, model.family, model.licence, model.space.dimension, towers, building)
        (building / CARD).write_text(card, "utf-8")
    return target / CARD


@contextmanager
def _building(target: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes the target when all went well."""
    if target.exists():
        raise ModelError(f"{target} is already there; name a folder that is not")
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def describe_checkpoint(directory: Path) -> str:
    """Give the card of a checkpoint that transformers is to run as it is, as TOML."""
    checkpoint = Checkpoint(directory)
    family = family_of(checkpoint)
    dimension, towers = import_module(FAMILIES[family]).describe(checkpoint)
    for options in towers.values():
        options["weights"] = checkpoint.weights
    return _card(directory.name, family, "unknown", dimension, towers, directory)


def _write_tokenizer(checkpoint: Checkpoint, target: Path) -> None:
    """Write the tokenizer that transformers itself uses, with all that it adds when loading."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"exporting takes torch and transformers ({error}); "
            "install them with `pip install 'trawl-multimodal[torch]'`"
        ) from error
    tokenizer = AutoTokenizer.from_pretrained(checkpoint.directory, local_files_only=True)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_padding()
        backend.no_truncation()
        backend.save(str(target / _TOKENIZER))
    elif (checkpoint.directory / _TOKENIZER).is_file():
        shutil.copyfile(checkpoint.directory / _TOKENIZER, target / _TOKENIZER)
    else:
        raise ModelError(
            f"the tokenizer of {checkpoint.directory} is of a kind that has no tokenizer.json; "
            "convert it first"
        )


def _with_tokenizer(checkpoint: Checkpoint, building: Path) -> Path:
    """Give a folder of the checkpoint's configuration beside the tokenizer just written."""
    folder = building / ".checkpoint"
    folder.mkdir()
    for file in checkpoint.directory.rglob("*.json"):
        copy = folder / file.relative_to(checkpoint.directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    shutil.copyfile(building / _TOKENIZER, folder / _TOKENIZER)
    return folder


def _write_graph(
    source: Path, family: str, modality: Modality, options: Options, target: Path
) -> None:
    import torch

    module = load_module(source, family, modality)
    names = inputs_of(family, modality)
    rows, axes = torch.export.Dim("rows"), dict[int, Any]()
    if modality == "text":
        tokens = int(options.get("pad_to") or 16)
        ids = torch.full((2, tokens), int((options["suffix_ids"] or [1])[-1]), dtype=torch.int64)
        example = (ids, torch.ones_like(ids))[: len(names)]
        axes = {} if options.get("pad_to") else {1: torch.export.Dim("tokens", min=2)}
    elif modality == "image":
        side = int(options["crop_px"] or options["size_px"])
        example = (torch.zeros(2, 3, side, side),)
    else:
        frames = (
            1 + round(options["window_s"] * options["sample_rate_hz"]) // options["hop_samples"]
        )
        example = (torch.zeros(2, 1, frames, int(options["mel_bands"])),)
    shapes = tuple({0: rows, **axes} for _ in names)
    with torch.no_grad():
        torch.onnx.export(
            module,
            example,
            target,
            input_names=list(names),
            output_names=["output"],
            opset_version=_OPSET,
            dynamo=True,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )


def _quantise(graph: Path, target: Path) -> None:
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
    except ImportError as error:
        raise ModelError(
            f"quantising takes onnx ({error}); install it: `pip install 'trawl-multimodal[torch]'`"
        ) from error
    # Unsigned weights. With signed ones, on AVX2, a small random CLAP and CLIP lost 0.01 to 0.02
    # of cosine instead of 0.0003, and ViT-B/32 0.0009 instead of 0.0004, at the same speed. The
    # likely cause is sums of 16 bits that saturate; processors with VNNI have none such.
    # Convolutions stay as they are: the patches of a picture lose the most, and gain least.
    quantize_dynamic(
        graph,
        target,
        # Gather: the table of token vectors, more than half of a text tower.
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        weight_type=QuantType.QUInt8,
        per_channel=True,
    )


def _card(
    name: str,
    family: str,
    licence: str,
    dimension: int,
    towers: Mapping[Modality, Options],
    directory: Path,
) -> str:
    lines = [
        f"name = {json.dumps(name)}",
        f'family = "{family}"',
        f"licence = {json.dumps(licence)}",
        "preprocessing = 1",
        "",
        "[space]",
        f"name = {json.dumps(name)}",
        f"dimension = {dimension}",
    ]
    for modality, options in towers.items():
        lines += ["", f"[{modality}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in sorted(options.items())]
        files = [options.get("graph") or options["weights"]]
        files += [_TOKENIZER] if modality == "text" else []
        lines.append(f"[{modality}.files]")
        for file in files:
            with (directory / file).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            lines.append(f'"{file}" = "{digest}"')
    return "\n".join(lines) + "\n"
