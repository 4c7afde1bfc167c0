"""Makes tests/golden/prompts/compel: how compel reads prompts, and what it makes of some with the text encoder of the tiny model sd1.

    pip install compel==2.5.1    # MIT, beside requirements.txt
    python tests/golden/make_compel.py

`compel.json` has `parsed`, prompts put together by chance of its syntax's pieces, each with its parts (weight, and mixed texts as
share and fragments of one weight) or null where compel refuses it; and `texts`, the prompts of which `compel.safetensors` has the
states `[chunks · 77, 32]` (`states.i`), with two pairs that are padded to one length (`pair.i`).
"""

import json
import random

import torch
from compel import Compel
from compel.prompt_parser import Blend, PromptParser
from safetensors.torch import save_file

from make_goldens import FORMAT, HERE, load

OUT = HERE / "prompts"
PIECES = ["a", "cat", "red-ish", "it's", "c", "3.5", ",", ".", " ", " ", " ", "  ", "\n", "(", ")", "(", ")", '"', '"', "+", "++", "-", "--", "1.3", "0.5",
          "-0.5", ".5", "=", "\\(", "\\)", '\\"', "\\+", "\\", ".attend(", ".attend(1.2)", ".swap(", ".swap(dog)", ".blend(", ".blend(1, 0.5)", ".and()",
          ".and(1,0.5)", ", ", ",b", "no_normalize", "withLora(x)", "withLora(y, 0.5)", "useLora(", '("a", "b c")', "(a++ b)", '"one"', "(x, y)", "😀",
          ".blend(0.7,0.3)", ".add()", ".blend(1,1,no_normalize)", ".blend(1)", "(a, b)", '(" a = b ", c-)']
BY_HAND = [
    "a cat++ playing", "(a cat)1.3, dog", "c++", "a-b word-- -", "(a (b)1.2 c)0.5.", '"a cat"++ x', '("a", "b").blend(0.7, 0.3)', "('a','b').blend(1,1)",
    "(a, b).blend(1,0.5)", '("a", "b").and()', '("a c", "b++").and(1, 0.5)', "a (b", "(b)c", "foo(bar)++", "a.b.c+ x", "\\(x\\)++ \\+", "(a = b)+",
    "((((((a))))))+", "a  b\n c", "(x)-0.5", "withLora(foo, 0.5) a", "a.swap(b) c", '""++', '("a = b", "c").blend(1,1,no_normalize)', "((a)++, b).and()",
    "hello.attend(1.5) x", "(a b).attend(++) x", "a ++ b", "a+b+ c", "it's 3.5-inch, (big:1.2)", "(a)1.3abc", "(a) ++", "-dog--",
    '("a","b").blend(1,1) more', '("a", "b").blend(1, 2, 3)', "a,b,,c", '"a \\"quoted\\" word"1.2',
]
TEXTS = [
    "a red apple", "a red++ apple, (green background)1.3", "a (photo of the (astronaut)1.2 horse)0.8 riding", "a red-- apple", "(white)0 dog, cat0.5 (dog)0.3",
    '("a red apple", "a blue dog").blend(0.7, 0.3)', '("a red apple++", "a blue dog--", "white").blend(1, 1, 0.5, no_normalize)', '("a red apple", "a blue dog++").and()',
    '("a red apple", "a blue dog", "white-").and(1, 0.5, 1.2)', "a (large)1.2 green dog " * 20 + "zebra--", "", "a \\(red\\) apple.swap(pear) \\+",
    "a red apple " * 24 + "(a blue dog, a green cat)0.6 zebra--",
]
PAIRS = [('("a red apple", "a blue dog").and()', "yellow"), ("a red apple", '("a", "b-", "c").and()')]


def fragments(prompt):
    """Texts and weights; of a swap what stands before it."""
    found = []
    for child in prompt.children:
        for one in getattr(child, "original", [child]):
            if found and found[-1][1] == one.weight:
                found[-1][0] += " " + one.text
            else:
                found.append([one.text, one.weight])
    return found


def parts(parser, text):
    try:
        conjunction = parser.parse_conjunction(text)
    except Exception:
        return None
    found = []
    for prompt, weight in zip(conjunction.prompts, conjunction.weights):
        if isinstance(prompt, Blend):
            sum_ = sum(prompt.weights) if prompt.normalize_weights else 1.0
            if sum_ == 0:
                return None
            mixed = [[share / sum_, fragments(one)] for share, one in zip(prompt.weights, prompt.prompts)]
        else:
            mixed = [[1.0, fragments(prompt)]]
        found.append([weight, mixed])
    return found


@torch.no_grad()
def main():
    parser, chance = PromptParser(), random.Random(5)
    prompts = BY_HAND + ["".join(chance.choice(PIECES) for _ in range(chance.randint(1, 14))) for _ in range(600)]
    parsed = [[text, parts(parser, text)] for text in prompts]
    pipe = load("sd1")
    compel = Compel(tokenizer=pipe.tokenizer, text_encoder=pipe.text_encoder)
    tensors = {f"states.{i}": compel(text)[0] for i, text in enumerate(TEXTS)}
    for i, (prompt, negative) in enumerate(PAIRS):
        pair = compel.pad_conditioning_tensors_to_same_length([compel(negative), compel(prompt)])
        tensors[f"pair.{i}"] = torch.cat([one[0] for one in pair])
    tensors = {name: value.float().contiguous() for name, value in tensors.items()}
    save_file(tensors, OUT / "compel.safetensors", metadata={"opengen-golden": str(FORMAT)})
    facts = {"parsed": parsed, "texts": TEXTS, "pairs": PAIRS}
    (OUT / "compel.json").write_text(json.dumps(facts, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(len(parsed), sum(one is None for _, one in parsed), {name: tuple(value.shape) for name, value in tensors.items()})


if __name__ == "__main__":
    main()
