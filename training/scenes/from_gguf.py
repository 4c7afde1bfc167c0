"""Unpacks a GGUF of this size into a work folder, so that training goes on from there; see `training.from_gguf`."""

import argparse
from pathlib import Path

from ..from_gguf import unpack
from . import models


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("training/scenes/unfinished-q8_0.gguf"))
    parser.add_argument("--out", type=Path, default=Path("work"))
    args = parser.parse_args()
    unpack(args.model, args.out, models)


if __name__ == "__main__":
    main()
