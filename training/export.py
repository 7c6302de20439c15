"""Step 4: write a tower's files into the package, and the card with their hashes.

Figures are written into the card by `evaluate.py`, which measures the exported files, and priors by
`calibrate.py`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import common

CARD_HEAD = """\
# Written by training/export.py and training/evaluate.py; docs/models/mini.md says what it means.
name = "mini"
family = "mini"
licence = "Apache-2.0"
preprocessing = 1

[space]
name = "mini"
dimension = {dimension}
"""

TOWER_FILES = {
    "text": ("text.npz", "text_table.npy", "tokenizer.json"),
    "image": ("image.onnx",),
    "audio": ("audio.onnx",),
}


def tower_options(tower: str) -> dict[str, Any]:
    """What the runtime must know about a tower beside its weights."""
    if tower == "text":
        return {"max_tokens": 0}
    if tower == "image":
        import onnx

        model = onnx.load(str(common.MODEL_DIR / "image.onnx"), load_external_data=False)
        return {"size_px": model.graph.input[0].type.tensor_type.shape.dim[1].dim_value}
    return {"sample_rate_hz": 16000, "window_s": 10.0, "least_frames": 96}


def _toml(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def write_card(folder: Path, figures: dict[str, float] | None = None) -> None:
    """Write `card.toml` for the towers whose files are in `folder`.

    Without `figures` those of the card that is there are kept, and so are its priors, which
    `calibrate.py` writes.
    """
    import tomllib

    path = folder / "card.toml"
    old = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    if figures is None:
        figures = old.get("figures", {})
    lines = [CARD_HEAD.format(dimension=common.load_config()["space"]["dimension"])]
    for tower, names in TOWER_FILES.items():
        if not all((folder / name).exists() for name in names):
            continue
        lines.append(f"[{tower}]")
        lines += [f"{key} = {_toml(value)}" for key, value in tower_options(tower).items()]
        lines.append(f"[{tower}.files]")
        for name in names:
            digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            lines.append(f'"{name}" = "{digest}"')
        lines.append("")
    for pair, prior in old.get("prior", {}).items():
        lines.append(f'[prior."{pair}"]')
        lines += [f"{key} = {prior[key]:.4f}" for key in ("mean", "std")] + [""]
    if figures:
        lines.append("[figures]  # measured on the held-out reference data by training/evaluate.py")
        lines += [f"{key} = {_toml(value)}" for key, value in figures.items()]
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def main() -> None:
    """Export one tower, then write the card anew."""
    arguments = common.argument_parser(__doc__).parse_args()
    if arguments.tower == "text":
        import text_losses
        import text_student

        hidden = common.load_config()["text"]["hidden"]
        text_student.export(
            arguments.cache / f"text_{hidden}.npz", text_losses.tokenizer_file(), common.MODEL_DIR
        )
    elif arguments.tower == "image":
        import image

        image.export(arguments.cache, common.MODEL_DIR)
    else:
        import audio_student

        audio_student.export(arguments.cache, common.MODEL_DIR)
    write_card(common.MODEL_DIR)


if __name__ == "__main__":
    main()
