"""Step 3: train one tower. Checkpoints lie in the cache; a killed run goes on from the last."""

from __future__ import annotations

import common


def main() -> None:
    """Train one tower by the recipe in config.toml."""
    arguments = common.argument_parser(__doc__).parse_args()
    config = common.load_config()
    common.seed_everything(config["seed"], arguments.threads)
    if arguments.tower == "text":
        import text

        text.train(arguments.cache, text.Recipe(**config["text"]["recipe"]), seed=config["seed"])
    elif arguments.tower == "audio":
        import audio_student

        recipe = audio_student.Recipe(**config["audio"]["recipe"])
        audio_student.train(arguments.cache, recipe, seed=config["seed"])
    else:
        import image

        image.train(arguments.cache, image.read_plan(config["image"]))


if __name__ == "__main__":
    main()
