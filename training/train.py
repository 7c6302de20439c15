"""Step 3: train one tower. Checkpoints lie in the cache."""

from __future__ import annotations

import common


def main() -> None:
    """Train one tower by the recipe in config.toml."""
    arguments = common.argument_parser(__doc__).parse_args()
    config = common.load_config()
    common.seed_everything(config["seed"], arguments.threads)
    if arguments.tower == "text":
        import text_train

        recipe = text_train.Recipe(**config["text"]["recipe"])
        text_train.train(arguments.cache, recipe, seed=config["seed"])
    elif arguments.tower == "audio":
        import audio_train

        recipe = audio_train.Recipe(**config["audio"]["recipe"])
        audio_train.train(arguments.cache, recipe)
    else:
        import image

        image.train(arguments.cache, image.read_plan(config["image"]))


if __name__ == "__main__":
    main()
