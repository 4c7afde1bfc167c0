"""The tokenizer of the scenes' captions; `training.tokenizer` says how it is learnt."""

import argparse
from pathlib import Path

from ..tokenizer import CAPTIONS, build_tokenizer, save_tokenizer
from .captions import sample_captions
from .models import MAX_TOKENS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work"), help="folder for the tokenizer folder")
    parser.add_argument("--size", type=int, default=2000, help="entries, specials included")
    args = parser.parse_args()
    tokenizer = build_tokenizer(sample_captions(3 * CAPTIONS, seed=1), args.size, MAX_TOKENS)
    save_tokenizer(tokenizer, args.out / "tokenizer")
    longest = max(sample_captions(CAPTIONS, seed=2), key=lambda text: len(tokenizer(text).input_ids))
    print(f"{len(tokenizer)} entries; longest caption, {len(tokenizer(longest).input_ids)} tokens: {longest}")


if __name__ == "__main__":
    main()
