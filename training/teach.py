"""Step 2: embed the captions of the pictures, and fit the heads on the picture tower's teachers.

The teachers of texts and sounds answer while their students train.
"""

from __future__ import annotations

import common


def main() -> None:
    """Ask one tower's teachers."""
    arguments = common.argument_parser(__doc__).parse_args()
    config = common.load_config()
    common.seed_everything(config["seed"], arguments.threads)
    if arguments.tower == "image":
        import image

        image.teach(arguments.cache)
    else:
        print(f"nothing to do: the teacher of {arguments.tower} answers during training")


if __name__ == "__main__":
    main()
