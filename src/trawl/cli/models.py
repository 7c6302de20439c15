"""``trawl models``: list, download and convert models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from trawl.cli.options import Command

ModelDirOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--model-dir",
        metavar="DIR",
        help="Directory of downloaded models.  [env var: TRAWL_MODEL_DIR; default: "
        "~/.cache/trawl/models]",
    ),
]

app = typer.Typer(
    name="models",
    invoke_without_command=True,
    rich_markup_mode=None,
    help="List and download models, or convert a checkpoint.",
)


@app.callback()
def models(
    context: typer.Context,
    model_dir: ModelDirOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List models (modalities, size, whether installed) and profiles.

    \b
    Examples:
      trawl models
      trawl models pull standard
      trawl models export ~/checkpoints/my-clip ~/models/my-clip
    """
    if context.invoked_subcommand is None:
        _print(_folder(model_dir), json)


@app.command(cls=Command)
def pull(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME", help="Profiles or models.", show_default=False)
    ],
    tower: Annotated[
        list[str] | None,
        typer.Option(
            "--tower",
            metavar="MODALITY",
            help="Only this tower (image or audio) and the text tower, of a model whose towers "
            "are downloaded one by one. Repeatable.",
        ),
    ] = None,
    model_dir: ModelDirOption = None,
) -> None:
    """Download models. Verifies files that exist and resumes interrupted downloads.

    \b
    Examples:
      trawl models pull standard
      trawl models pull embeddinggemma-2 --tower image
      trawl models pull bge-small clap --model-dir /srv/models
    """
    from trawl.cli.output import clean, console, download_progress
    from trawl.encoders import PROFILES, listing_of
    from trawl.encoders.hub import pull as download

    folder = _folder(model_dir)
    wanted = dict.fromkeys(model for name in names for model in PROFILES.get(name, (name,)))
    listings = [listing_of(name, folder) for name in wanted]
    if tower:
        listings = [listing.only(tower) for listing in listings]
    for listing in listings:
        with download_progress() as progress:
            size_bytes = download(listing, progress=progress)
        message = f"{listing.name} is in {listing.directory} ({size_bytes / 1e6:,.0f} MB)"
        console().print(clean(message))


@app.command(cls=Command)
def export(
    checkpoint: Annotated[Path, typer.Argument(help="Directory of a Hugging Face checkpoint.")],
    target: Annotated[Path, typer.Argument(help="Directory to create.")],
    licence: Annotated[
        str, typer.Option("--licence", metavar="NAME", help="Licence to record in the card.")
    ] = "unknown",
) -> None:
    """Convert a Hugging Face checkpoint to ONNX. Requires trawl-multimodal[torch].

    Writes ONNX graphs, a tokenizer and a card to TARGET.

    \b
    Examples:
      trawl models export ~/checkpoints/my-clip ~/models/my-clip
      trawl init --profile ~/models/my-clip
    """
    from trawl.cli.output import clean, console
    from trawl.encoders.export import export as write

    card = write(checkpoint.expanduser(), target.expanduser(), licence=licence)
    console().print(clean(f"wrote {card}; use it with: trawl init --profile {card.parent}"))


@app.command(cls=Command)
def quantise(
    model: Annotated[str, typer.Argument(help="Model name or directory.")],
    target: Annotated[Path, typer.Argument(help="Directory to create.")],
    model_dir: ModelDirOption = None,
) -> None:
    """Quantise a model to 8 bits, a quarter of its size. Requires trawl-multimodal[torch].

    The vectors of the two models are not comparable: a library uses one or the other.

    \b
    Examples:
      trawl models quantise clip-vit-b32-laion ~/models/clip-8bit
      trawl init --profile ~/models/clip-8bit
    """
    from trawl.cli.output import clean, console
    from trawl.encoders import load_model
    from trawl.encoders.export import quantise as write

    card = write(load_model(model, _folder(model_dir)).card, target.expanduser())
    console().print(clean(f"wrote {card}; use it with: trawl init --profile {card.parent}"))


def _folder(given: Path | None) -> Path | None:
    from trawl.settings import load_settings

    return load_settings(model_dir=given).model_dir


def _print(folder: Path | None, as_json: bool) -> None:
    from trawl.cli.output import clean, console
    from trawl.encoders import PROFILES, RERANKING, listings

    found = {listing.name: listing for listing in listings(folder)}
    if as_json:
        import json

        print(json.dumps(_contract(found, PROFILES), ensure_ascii=False))
        return
    out = console()
    width = max(len(name) for name in found)
    for name, listing in found.items():
        size = f"{listing.source.size_mb:,.0f} MB" if listing.source else "in the package"
        here = "here" if listing.is_here else "-"
        takes = "reranks" if listing.family == RERANKING else "+".join(listing.modalities)
        line = f"{name:{width}}  {here:4}  {size:>14}  {takes:16}"
        out.print(clean(f"{line}  {listing.licence}"))
        if listing.is_modular:
            for modality in listing.modalities:
                here = "here" if modality in listing.here() else "-"
                size = f"{listing.sizes_mb.get(modality, 0):,.0f} MB"
                out.print(clean(f"{'':{width}}  {here:4}  {size:>14}  --tower {modality}"))
    out.print("")
    for profile, names in PROFILES.items():
        missing = [found[name].source for name in names if not found[name].is_here]
        cost = sum(source.size_mb for source in missing if source is not None)
        state = f"{cost:,.0f} MB to download" if missing else "all here"
        out.print(clean(f"profile {profile}: {', '.join(names)} ({state})"))


def _contract(found: dict[str, Any], profiles: Any) -> dict[str, Any]:
    return {
        "models": [
            {
                "name": listing.name,
                "family": listing.family,
                "modalities": list(listing.modalities),
                "dimension": listing.dimension,
                "licence": listing.licence,
                "repository": listing.source.repository if listing.source else None,
                "size_mb": listing.source.size_mb if listing.source else 0,
                "here": listing.is_here,
                "towers": {
                    modality: {
                        "here": modality in listing.here(),
                        "size_mb": listing.sizes_mb.get(modality),
                    }
                    for modality in listing.modalities
                },
                "published": dict(listing.published),
            }
            for listing in found.values()
        ],
        "profiles": {name: list(models) for name, models in profiles.items()},
    }
