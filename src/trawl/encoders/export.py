"""Export a Hugging Face checkpoint as a model: ONNX graphs, a tokenizer and a card.

Requires the extra `trawl-multimodal[torch]`, which includes `onnx` and `onnxscript`.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trawl.encoders.cards import CARD, Card, sha256_of
from trawl.encoders.checkpoint import Checkpoint, Options
from trawl.encoders.checkpoints import Description, describe, family_of
from trawl.encoders.torch_network import inputs_of, load_module
from trawl.errors import ModelError
from trawl.types import Modality

_OPSET = 18
_TOKENIZER = "tokenizer.json"


def export(source: Path, target: Path, *, name: str = "", licence: str = "unknown") -> Path:
    """Export the towers of a checkpoint into a new folder. Return the path of the card.

    The folder is created completely or not at all. Raises `ModelError` if the checkpoint
    is not of a supported family or the folder exists.
    """
    checkpoint = Checkpoint(source)
    family = family_of(checkpoint)
    with _building(target) as building:
        _write_tokenizer(checkpoint, building)
        copy = _with_tokenizer(checkpoint, building)
        described = describe(copy)
        shutil.rmtree(copy.directory)
        for modality, options in described.towers.items():
            options["graph"] = f"{modality}.onnx"
            _write_graph(source, family, modality, options, building / options["graph"])
        (building / CARD).write_text(
            _card(described, name or target.name, licence, building), "utf-8"
        )
    return target / CARD


def quantise(model: Card, target: Path, *, name: str = "") -> Path:
    """Write a copy of a model with 8-bit matrix products. Return the path of the new card.

    Weights are quantised per output channel, activations dynamically, and token
    embeddings as one table. The copy is a model of its own, whose vectors are not
    comparable with the original's. The folder is created completely or not at all.
    Raises `ModelError` if the towers are not ONNX graphs.
    """
    with _building(target) as building:
        towers: dict[Modality, Options] = {}
        for modality, tower in model.towers.items():
            if "graph" not in tower.options:
                raise ModelError(f"{model.name} has no ONNX graphs to quantise; export it first")
            options = dict(tower.options) | {"graph": f"{modality}.onnx"}
            if "tokenizer" in options:
                options["tokenizer"] = _TOKENIZER
            _quantise(tower.path(tower.options["graph"]), building / options["graph"])
            if modality == "text":
                tokenizer = tower.path(tower.options.get("tokenizer", _TOKENIZER))
                shutil.copyfile(tokenizer, building / _TOKENIZER)
            towers[modality] = options
        described = Description(
            model.family, model.space.dimension, towers, model.dimensions, model.space.parts
        )
        (building / CARD).write_text(
            _card(described, name or target.name, model.licence, building), "utf-8"
        )
    return target / CARD


def describe_checkpoint(directory: Path) -> str:
    """Return the card, as TOML, of a checkpoint that transformers runs unchanged."""
    checkpoint = Checkpoint(directory)
    described = describe(checkpoint)
    for options in described.towers.values():
        options["weights"] = checkpoint.weights
    return _card(described, directory.name, "unknown", directory)


@contextmanager
def _building(target: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to the target on success."""
    if target.exists():
        raise ModelError(f"{target} already exists; name a new folder")
    building = target.with_name(f".{target.name}.building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        yield building
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write_tokenizer(checkpoint: Checkpoint, target: Path) -> None:
    """Write the tokenizer as transformers loads it, with the tokens that loading adds."""
    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise ModelError(
            f"exporting requires torch and transformers ({error}); "
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
            f"the tokenizer of {checkpoint.directory} cannot be written as tokenizer.json; "
            "convert it first"
        )


def _with_tokenizer(checkpoint: Checkpoint, building: Path) -> Checkpoint:
    """Return a copy of the checkpoint's configuration with the tokenizer just written."""
    folder = building / ".checkpoint"
    folder.mkdir()
    for file in checkpoint.directory.rglob("*.json"):
        copy = folder / file.relative_to(checkpoint.directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    shutil.copyfile(building / _TOKENIZER, folder / _TOKENIZER)
    return Checkpoint(folder)


def _write_graph(
    source: Path, family: str, modality: Modality, options: Options, target: Path
) -> None:
    import torch

    module = load_module(source, family, modality)
    if family == "omni":
        from trawl.encoders.torch_omni import write_omni_graph

        write_omni_graph(module, modality, options, target, _OPSET)
        return
    if family == "late-qwen":
        raise ModelError("models of the family late-qwen cannot be exported; use the checkpoint")
    if family == "late":
        from trawl.encoders.torch_late import write_late_graph

        write_late_graph(module, modality, options, target, _OPSET)
        return
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
            f"quantising requires onnx ({error}); "
            "install it with `pip install 'trawl-multimodal[torch]'`"
        ) from error
    # Unsigned weights: with signed ones on AVX2, a small random CLAP and CLIP lost 0.01 to 0.02
    # of cosine instead of 0.0003, and ViT-B/32 0.0009 instead of 0.0004, at the same speed. The
    # likely cause is saturation of 16-bit sums, which processors with VNNI do not have.
    # Convolutions are not quantised: image patches lose the most precision and gain the least.
    quantize_dynamic(
        graph,
        target,
        # Gather: the token embeddings, more than half of a text tower.
        op_types_to_quantize=["MatMul", "Gemm", "Gather"],
        weight_type=QuantType.QUInt8,
        per_channel=True,
    )


def _card(described: Description, name: str, licence: str, directory: Path) -> str:
    """Return a card as TOML, with the hashes of the files in `directory`."""
    lines = [
        f"name = {json.dumps(name)}",
        f'family = "{described.family}"',
        f"licence = {json.dumps(licence)}",
        "preprocessing = 1",
        "",
        "[space]",
        f"name = {json.dumps(name)}",
        f"dimension = {described.dimension}",
    ]
    if described.parts > 1:
        lines.append(f"parts = {described.parts}")
    if described.dimensions:
        lines.append(f"dimensions = {list(described.dimensions)}")
    for modality, options in described.towers.items():
        lines += ["", f"[{modality}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in sorted(options.items())]
        files = [options.get("graph") or options["weights"]]
        files += [_TOKENIZER] if modality == "text" else []
        lines.append(f"[{modality}.files]")
        lines += [f'"{file}" = "{sha256_of(directory / file)}"' for file in files]
    return "\n".join(lines) + "\n"
