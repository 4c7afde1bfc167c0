"""A small CLIP-style byte-level BPE tokenizer, learnt from the captions themselves."""

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from transformers import CLIPTokenizer

from .captions import sample_captions
from .models import MAX_TOKENS

BOS, EOS = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
SIZE = 2400  # entries: the words of words.txt, places and styles are 400 more than the model before had
CAPTIONS = 60_000  # how many captions the merges are learnt from


def byte_symbols() -> list[str]:
    """The printable character that stands for each byte, in CLIP's vocabulary order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + index) for index in range(len(hidden))]


def learn_merges(words: Counter, count: int) -> list[tuple[str, str]]:
    """The `count` most useful pair merges over words weighted by frequency (Sennrich et al., 2016)."""
    pieces = {word: [*word[:-1], word[-1] + WORD_END] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter = Counter()
        for word, parts in pieces.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        pieces = {word: merge_pair(parts, best) for word, parts in pieces.items()}
    return merges


def merge_pair(parts: list[str], pair: tuple[str, str]) -> list[str]:
    """`parts` with each occurrence of `pair` joined."""
    joined: list[str] = []
    for part in parts:
        if joined and (joined[-1], part) == pair:
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def build_tokenizer(captions: list[str], size: int, max_tokens: int) -> CLIPTokenizer:
    """A tokenizer of `size` entries: every byte with and without the word end, merges, two specials."""
    symbols = byte_symbols()
    alphabet = symbols + [symbol + WORD_END for symbol in symbols]
    words = Counter(word for text in captions for word in re.findall(r"[a-z]+", text))
    # The square root lets rare words have their merges too; but not the made-up ones, of which hardly any comes thrice.
    softened = Counter({word: int(100 * count**0.5) for word, count in words.items() if count > 2})
    merges = learn_merges(softened, size - len(alphabet) - 2)
    entries = alphabet + list(dict.fromkeys(left + right for left, right in merges)) + [BOS, EOS]
    vocab = {entry: index for index, entry in enumerate(entries)}
    return CLIPTokenizer(
        vocab=vocab, merges=merges, unk_token=EOS, bos_token=BOS, eos_token=EOS, pad_token=EOS,
        model_max_length=max_tokens,
    )  # fmt: skip


def save_tokenizer(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Writes tokenizer.json, and the vocab.json and merges.txt that older loaders read."""
    tokenizer.save_pretrained(folder)
    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def make(out: Path, size: int = SIZE, captions: int = CAPTIONS) -> None:
    """Learns a tokenizer of `size` entries from captions and writes it to `tokenizer` below `out`."""
    tokenizer = build_tokenizer(sample_captions(captions, seed=1), size, MAX_TOKENS)
    save_tokenizer(tokenizer, out / "tokenizer")
    longest = max(sample_captions(captions // 3, seed=2), key=lambda text: len(tokenizer(text).input_ids))
    print(f"{len(tokenizer)} entries; longest caption, {len(tokenizer(longest).input_ids)} tokens: {longest}", flush=True)


def main() -> None:
    args = parse_args()
    make(args.out, args.size)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("work"), help="folder for the tokenizer folder")
    parser.add_argument("--size", type=int, default=SIZE, help="entries, specials included")
    return parser.parse_args()


if __name__ == "__main__":
    main()
