"""Writes tests/data/prompts.json: token ids by transformers' CLIPTokenizer.

    python -m training.fixtures_prompts

The tokenizer is a small one of CLIP's kind in tests/data/tokenizer (learnt from the embedded model's captions).
"""

import json
from pathlib import Path

import transformers
from transformers import CLIPTokenizer

DATA = Path(__file__).parent.parent / "tests/data"
PROMPTS = [
    "",
    " ",
    "a red apple on a light blue background",
    "A RED   Apple,\n\ton a light-blue background!",
    "don't you've I'll 3 apples, 1234567890 pixels; 50% off... \"quoted\" #tag @you /slash/ a_b {x} <y> ~`^&*+=|?",
    "café naïve Ærø ﬁne Straße İstanbul ΑΒΓς",
    "cafe\u0301 re\u0301sume\u0301",
    "яблоко 苹果が好き 사과 תפוח אדום تفاحة حمراء ผลไม้",
    "🍎🍏 👩‍👩‍👧‍👦 🇩🇪 ☺️ a🍎b",
    "zero\u200bwidth\u00a0space\u3000wide \u202eright to left\u202c \ufeff",
    "\u0000\u0001\u007f control",
    "<|startoftext|> a cat <|endoftext|> a dog",
    "x" * 60,
    "apple " * 60,
    "a tiny yellow banana in the corner, on a dark green background, " * 6,
]


def main() -> None:
    out = {"transformers": transformers.__version__, "cases": []}
    for pad in ["<|endoftext|>", "!"]:
        tokenizer = CLIPTokenizer.from_pretrained(DATA / "tokenizer", pad_token=pad)
        for max_length in [77, 24]:
            for prompt in PROMPTS:
                kwargs = {"padding": "max_length", "truncation": True, "max_length": max_length}
                ids = tokenizer(prompt, **kwargs).input_ids
                total = len(tokenizer(prompt, add_special_tokens=False).input_ids)
                case = {"pad": pad, "max_length": max_length, "prompt": prompt, "ids": ids, "tokens": total}
                out["cases"].append(case)
    path = DATA / "prompts.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes,", len(out["cases"]), "cases")


if __name__ == "__main__":
    main()
