"""Step 1: gather a tower's material into the cache. Generated material is drawn here too."""

from __future__ import annotations

import json
from pathlib import Path

import common


def prepare_text(cache: Path, seed: int) -> None:
    """Write `texts.jsonl`, one {source, text} a line, and `supervision.json`."""
    import text_losses
    import text_material

    vocabulary_file = text_losses.tokenizer_file().with_name("vocab.txt")
    vocabulary = vocabulary_file.read_text(encoding="utf-8").splitlines()
    rows = text_material.collect(seed, vocabulary)
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "texts.jsonl").open("w", encoding="utf-8") as file:
        for source, sentence in rows:
            file.write(json.dumps({"source": source, "text": sentence}) + "\n")
    known = text_material.supervision(common.data_dir())
    (cache / "supervision.json").write_text(json.dumps(known), encoding="utf-8")
    print(f"{len(rows)} texts")


def main() -> None:
    """Gather one tower's material."""
    arguments = common.argument_parser(__doc__).parse_args()
    config = common.load_config()
    if arguments.tower == "text":
        prepare_text(arguments.cache, config["seed"])
    elif arguments.tower == "audio":
        import audio

        audio.prepare(arguments.cache, config["audio"]["generated"], config["seed"])
    else:
        import image

        image.prepare(common.data_dir(), arguments.cache)


if __name__ == "__main__":
    main()
