"""Measures a model on captions of held-out scenes and on natural prompts, through the engine's command line or diffusers.

What each measure is stands in `measures`; `check_measures` shows that they can be trusted.
"""

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch.nn.functional import interpolate

from . import measures, natural
from .captions import UNKNOWN_WORDS, caption
from .common import psnr
from .draw import as_arrays, generate_with_diffusers, generate_with_opengen
from .drawings import DESIGNERS, designers_of
from .render import picture_batch
from .scene import (
    COLOUR_NAMES, COLOURS, FIRST_STYLES, FIRST_SUBJECTS, IMAGE, LIGHT_COLOURS, NOTHING, PLAIN, STYLES, Scene, first_learnt,
    held_out_scenes, named_otherwise, random_scene,
)  # fmt: skip
from .style_classifier import make_classifier
from .subjects import SUBJECTS
from .train_vae import reconstruct


class Draw(Protocol):
    """Prompts, their seeds and a negative prompt for all of them to pictures [N, 3, 128, 128] in [-1, 1]."""

    def __call__(self, prompts: list[str], seeds: range, negative: str = "") -> torch.Tensor: ...


KINDS: dict[str, dict] = {
    "single": {"plain": 1.0, "kinds": {"one": 1.0}},
    "strange": {"plain": 1.0, "kinds": {"one": 1.0}},  # with words around that the model was never shown
    "pairs": {"plain": 1.0, "kinds": {"relation": 1.0}},
    "styled": {"plain": 0.0, "kinds": {"one": 1.0}, "styles": FIRST_STYLES},
}
STRANGE_WORDS = (
    "gorgeous", "cinematic lighting", "octane render", "amazing", "by a great artist", "vivid", "so elegant", "marvellous",
    "hyperreal", "ray traced", "volumetric fog", "exquisite", "splendid", "cute", "sublime", "trendy", "glamorous",
    "spectacular", "superb", "snazzy", "flamboyant", "melancholy", "peaceful", "mysterious", "cosmic", "surreal",
    "impressionist", "rustic", "elaborate", "breathtaking", "kawaii", "significant", "extravagant", "delicate", "educated",
    "scary", "weird", "ordinary", "mesmerizing", "everyone wants", "dear grandma", "wandering",
)  # fmt: skip
assert not set(" ".join(STRANGE_WORDS).split()) & set(" ".join(UNKNOWN_WORDS).split())


def scenes_of(kind: str, count: int) -> list[Scene]:
    """Held-out scenes of a kind, the same for every model."""
    seed, found = 50 + list(KINDS).index(kind), []
    while len(found) < count:
        found += filter(first_learnt, held_out_scenes(count, seed, **PLAIN, **KINDS[kind]))
        seed += 100
    return found[:count]


def prompts_of(scenes: list[Scene], seed: int = 7) -> list[str]:
    """One explicit caption for each scene: size, place, count and ground named, in any wording."""
    rng = random.Random(seed)
    return [caption(scene, rng, explicit=True) for scene in scenes]


def mean(records: list[dict], key: str) -> float | None:
    values = [record[key] for record in records if record.get(key) is not None]
    return float(np.mean(values)) if values else None


@torch.no_grad()
def judge_styles(pictures: torch.Tensor, weights: Path) -> tuple[list[str], float]:
    """The style that the classifier sees in each picture, and its own accuracy on rendered ones."""
    saved = torch.load(weights)
    classifier = make_classifier()
    classifier.load_state_dict(saved["classifier"])
    return [STYLES[index] for index in classifier.eval()(pictures).argmax(dim=1)], saved["accuracy"]


def grounds(pictures: torch.Tensor) -> list[str]:
    """The colour of COLOURS that each picture's upper left corner is nearest to."""
    corners = as_arrays(pictures)[:, 4:12, 4:12].mean(axis=(1, 2))
    named = np.array(list(COLOURS.values())) / 255
    return [COLOUR_NAMES[index] for index in np.square(corners[:, None] - named).sum(axis=-1).argmin(axis=1)]


# Of each the scene's seed decides what the caption leaves open.
OPEN_CAPTIONS = (
    "a cat in the snow",
    "a red apple on a light blue background",
    "watercolor of a boat",
    "two owls at night",
)


def openness(draw: Draw, seeds: range = range(16)) -> dict:
    """Diversity over seeds, how often a light ground comes up by itself, and how often where it is the negative prompt."""
    prompts = ["a dog"] * len(seeds)
    unasked = grounds(draw(prompts, seeds))
    counted = [
        (unasked.count(colour), grounds(draw(prompts, seeds, f"{colour} background")).count(colour))
        for colour in LIGHT_COLOURS
    ]
    by_itself, unwanted = np.mean(counted, axis=0) / len(seeds)
    spread = [measures.diversity(draw([text] * 8, range(8))) for text in OPEN_CAPTIONS]
    return {"diversity": float(np.mean(spread)), "by_itself": float(by_itself), "unwanted": float(unwanted)}


def fidelity(kind: str, draw: Draw, args: argparse.Namespace) -> tuple[dict, list[dict]]:
    """The measures of before: figures, and a record for each picture."""
    scenes = scenes_of(kind, args.count)
    prompts = prompts_of(scenes)
    if kind == "strange":
        rng = random.Random(8)
        prompts = [f"{rng.choice(STRANGE_WORDS)} {prompt}, {rng.choice(STRANGE_WORDS)}" for prompt in prompts]
    pictures = draw(prompts, range(args.seed, args.seed + len(prompts)))
    records = [measures.fidelity(picture, scene) for picture, scene in zip(as_arrays(pictures), scenes)]
    figures = {key: mean(records, key) for key in ("right", "ground", "place")}
    figures["psnr"] = float(np.median([record["psnr"] for record in records]))
    if kind == "styled":
        styles, figures["style_classifier"] = judge_styles(pictures, args.styles)
        for record, scene, style in zip(records, scenes, styles):
            record |= {"style": scene.style, "style_seen": style, "style_right": style == scene.style}
        figures["style"] = mean(records, "style_right")
    return figures, _with_prompts(records, prompts, args.seed)


def _with_prompts(records: list[dict], prompts: list[str], seed: int) -> list[dict]:
    return [
        record | {"prompt": prompt, "seed": seed + index}
        for index, (record, prompt) in enumerate(zip(records, prompts))
    ]


def _held_out(count: int, seed: int, keep: Callable[[Scene], bool], **shares) -> list[Scene]:
    found: list[Scene] = []
    while len(found) < count:
        found += filter(keep, held_out_scenes(count, seed, plain=1.0, **(PLAIN | shares)))
        seed += 100
    return found[:count]


def _has_own_colour(scene: Scene) -> bool:
    thing = scene.things[0]
    return bool(thing.colour) and not named_otherwise(thing.subject, thing.colour)


# What a varying model is asked besides: the scenes, and whether a picture is right.
QUESTIONS: dict[str, tuple[dict, Callable[[Scene], bool], Callable[[np.ndarray, Scene], bool]]] = {
    "colours": ({"kinds": {"one": 1.0}, "coloured": 1.0}, _has_own_colour,
                lambda picture, scene: measures.colour_seen(picture, scene) == scene.things[0].colour),
    "counts": ({"kinds": {"count": 0.8, "one": 0.2}}, lambda scene: not scene.things[0].colour,
               lambda picture, scene: measures.count_seen(picture, scene) == scene.arrangement),
    "three": ({"kinds": {"together": 1.0}}, lambda scene: True, lambda picture, scene: measures.fidelity(picture, scene)["right"]),
    "relations": ({"kinds": {"relation": 1.0}}, lambda scene: True, measures.relation_right),
}  # fmt: skip


def questions(name: str, draw: Draw, args: argparse.Namespace) -> tuple[dict, list[dict]]:
    """How often one of QUESTIONS is answered right."""
    shares, keep, right = QUESTIONS[name]
    scenes = _held_out(args.count, 90 + list(QUESTIONS).index(name), keep, **shares)
    prompts = prompts_of(scenes)
    pictures = as_arrays(draw(prompts, range(args.seed, args.seed + len(prompts))))
    records = [{"right": bool(right(picture, scene))} for picture, scene in zip(pictures, scenes)]
    return {"right": mean(records, "right")}, _with_prompts(records, prompts, args.seed)


def variety(draw: Draw, args: argparse.Namespace, seeds: int = 8) -> tuple[dict, list[dict]]:
    """Of captions that name a subject alone: whether four designers come in eight seeds, what is mirrored, how far apart."""
    rng = random.Random(60)
    subjects = rng.sample(range(FIRST_SUBJECTS), max(args.count // 2, 1))
    prompts = [
        f"{'' if SUBJECTS[number].bare else 'a '}{SUBJECTS[number].names[0]} on a white background"
        for number in subjects
    ]
    pictures = draw(
        [prompt for prompt in prompts for _ in range(seeds)], range(args.seed, args.seed + seeds * len(prompts))
    )
    records = []
    for subject, drawn in zip(subjects, pictures.split(seeds)):
        record = measures.variety(list(as_arrays(drawn)), subject)
        records.append(record | {"spread": measures.diversity(drawn), "four": record["designers"] >= 4})
    figures = {key: mean(records, key) for key in ("four", "mirrored", "spread")}
    return figures, _with_prompts(records, prompts, args.seed)


def designers(draw: Draw, args: argparse.Namespace) -> tuple[dict, list[dict]]:
    """How often a word for a designer brings a drawing of that set."""
    rng = random.Random(61)
    pairs = [(rng.randrange(FIRST_SUBJECTS), rng.randrange(len(DESIGNERS))) for _ in range(4 * args.count)]
    pairs = [(subject, designer) for subject, designer in pairs if designer in designers_of(subject)][: args.count]
    scenes = [
        replace(random_scene(rng, plain=1.0, kinds={"one": 1.0}, **PLAIN), designer=designer, designer_named=True)
        for _, designer in pairs
    ]
    scenes = [
        replace(scene, things=(replace(scene.things[0], subject=subject),))
        for scene, (subject, _) in zip(scenes, pairs)
    ]
    prompts = prompts_of(scenes)
    pictures = as_arrays(draw(prompts, range(args.seed, args.seed + len(prompts))))
    found = [
        measures.references.find(picture, 1, (scene.things[0].subject,)) for picture, scene in zip(pictures, scenes)
    ]
    records = [
        {"right": bool(one) and one[0].reference.designer == scene.designer} for one, scene in zip(found, scenes)
    ]
    return {"right": mean(records, "right")}, _with_prompts(records, prompts, args.seed)


def in_words(draw: Draw, args: argparse.Namespace) -> tuple[dict, list[dict]]:
    """Of natural.txt: known things that are there, and question marks where nothing is known."""
    prompts = natural.prompts()
    pictures = as_arrays(draw([prompt.text for prompt in prompts], range(args.seed, args.seed + len(prompts))))
    records = []
    for picture, prompt in zip(pictures, prompts):
        there, nothing = measures.present(picture, prompt.wanted), prompt.wanted == (frozenset({NOTHING}),)
        records.append(
            {"nothing": all(there)} if nothing else {"present": sum(there) / len(there), "all_present": all(there)}
        )
    figures = {key: mean(records, key) for key in ("present", "all_present", "nothing")}
    return figures, _with_prompts(records, [prompt.text for prompt in prompts], args.seed)


MEASURES: dict[str, Callable[[Draw, argparse.Namespace], tuple[dict, list[dict]]]] = {
    **{kind: lambda draw, args, kind=kind: fidelity(kind, draw, args) for kind in KINDS},
    "open": lambda draw, args: (openness(draw), []),
    "variety": variety,
    "designers": designers,
    **{name: lambda draw, args, name=name: questions(name, draw, args) for name in QUESTIONS},
    "natural": in_words,
}  # fmt: skip
ROWS = (
    ("single things, subject right", ("single", "right"), "{:.1%}"),
    ("single things among words it never saw, subject right", ("strange", "right"), "{:.1%}"),
    ("pairs, both subjects right", ("pairs", "right"), "{:.1%}"),
    ("styled things, subject right", ("styled", "right"), "{:.1%}"),
    ("style right, by the classifier", ("styled", "style"), "{:.1%}"),
    ("the classifier's own accuracy", ("styled", "style_classifier"), "{:.1%}"),
    ("flat and graded grounds, mean ΔE2000", ("single", "ground"), "{:.2f}"),
    ("the same behind pairs", ("pairs", "ground"), "{:.2f}"),
    ("place, mean error in pixels", ("single", "place"), "{:.2f}"),
    ("single things, median PSNR to the nearest rendering, dB", ("single", "psnr"), "{:.2f}"),
    ("diversity across seeds, RMS of 255", ("open", "diversity"), "{:.1f}"),
    ("a light ground, unasked for", ("open", "by_itself"), "{:.1%}"),
    ("the same where it is the negative prompt", ("open", "unwanted"), "{:.1%}"),
    ("subjects with four designers in eight seeds", ("variety", "four"), "{:.1%}"),
    ("mirrored", ("variety", "mirrored"), "{:.1%}"),
    ("mean distance of eight seeds, RMS of 255", ("variety", "spread"), "{:.1f}"),
    ("a designer's word brings the designer", ("designers", "right"), "{:.1%}"),
    ("colour of the subject right", ("colours", "right"), "{:.1%}"),
    ("counts of 1 to 5 right", ("counts", "right"), "{:.1%}"),
    ("three things, all right", ("three", "right"), "{:.1%}"),
    ("relations right", ("relations", "right"), "{:.1%}"),
    ("natural prompts, known things there", ("natural", "present"), "{:.1%}"),
    ("natural prompts with all of them there", ("natural", "all_present"), "{:.1%}"),
    ("a question mark where nothing is known", ("natural", "nothing"), "{:.1%}"),
    ("median PSNR to diffusers' pictures, dB", ("all", "same"), "{:.1f}"),
    ("autoencoder PSNR, dB", ("all", "autoencoder_psnr"), "{:.2f}"),
)


def markdown_table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """One column per model, one row per measure that was taken."""
    lines = ["| held-out scenes | " + " | ".join(results) + " |", "|---|" + "---|" * len(results)]
    for title, (kind, key), form in ROWS:
        values = [result.get(kind, {}).get(key) for result in results.values()]
        if any(value is not None for value in values):
            lines.append(f"| {title} | " + " | ".join("–" if v is None else form.format(v) for v in values) + " |")
    return "\n".join(lines)


def measure(draw: Draw, args: argparse.Namespace) -> tuple[dict, dict]:
    """The figures of one model, and a record for each picture, by measure."""
    results: dict[str, dict] = {"all": {}}
    records: dict[str, list[dict]] = {}
    for name in args.measures:
        results[name], records[name] = MEASURES[name](draw, args)
        print(
            name, {key: value if value is None else round(value, 4) for key, value in results[name].items()}, flush=True
        )
    return results, records


def failures(records: dict[str, list[dict]], each: int = 4) -> list[dict]:
    """Prompt and seed of each measure's first wrong pictures, for a contact sheet."""
    right = ("right", "style_right", "all_present", "nothing")
    wrong = (
        [record for record in scored if not all(record.get(key, True) for key in right)][:each]
        for scored in records.values()
    )
    return [{"prompt": record["prompt"], "seed": record["seed"]} for part in wrong for record in part]


def main() -> None:
    args = parse_args()
    results, records, reference = {}, {}, None
    drawn: list[torch.Tensor] = []

    def remembering(make: Callable[..., torch.Tensor]) -> Draw:
        def draw(prompts: list[str], seeds: range, negative: str = "") -> torch.Tensor:
            drawn.append(
                interpolate(make(prompts, seeds, negative), (IMAGE, IMAGE), mode="bilinear")
            )  # as they are, if of this size
            return drawn[-1]

        return draw

    if args.diffusers:
        pipeline = StableDiffusionPipeline.from_pretrained(args.diffusers)
        pipeline.set_progress_bar_config(disable=True)
        name = "diffusers, F32"
        results[name], records[name] = measure(
            remembering(lambda prompts, seeds, negative: generate_with_diffusers(
                pipeline, prompts, args.steps, args.guidance, seeds, args.size, negative
            )),
            args,
        )  # fmt: skip
        reference, drawn[:] = torch.cat(drawn), []
        rendered = picture_batch(held_out_scenes(128, seed=41), random.Random(41))
        results[name]["all"]["autoencoder_psnr"], _ = reconstruct(pipeline.vae, rendered)
    for model in args.model:
        name = Path(model).stem
        results[name], records[name] = measure(
            remembering(lambda prompts, seeds, negative: generate_with_opengen(
                args.opengen, model, prompts, args.steps, args.guidance, seeds, args.cpu, args.size, negative, args.lora, args.sampler
            )),
            args,
        )  # fmt: skip
        if reference is not None:
            results[name]["all"]["same"] = psnr(torch.cat(drawn), reference).median().item()
        drawn.clear()
    print(f"{args.count} scenes a measure, {args.steps} steps, guidance {args.guidance:g}, seeds from {args.seed}\n")
    print(markdown_table(results))
    if args.json:
        args.json.write_text(json.dumps({"results": results, "records": records}, indent=1) + "\n", encoding="utf-8")
    if args.failures:
        args.failures.write_text(json.dumps(failures(list(records.values())[-1]), indent=2) + "\n", encoding="utf-8")


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diffusers", help="a diffusers folder, drawn with diffusers")
    parser.add_argument("--opengen", help="the opengen binary, which draws with each --model")
    parser.add_argument("--cpu", action="store_true", help="opengen computes on the processor")
    parser.add_argument("--model", nargs="*", default=[], help="diffusers folders or GGUFs")
    parser.add_argument("--lora", help="a LoRA that opengen merges into each --model")
    parser.add_argument("--sampler", default="ddim", help="of opengen")
    parser.add_argument("--styles", type=Path, default=Path("work/style.pt"), help="of training.style_classifier")
    parser.add_argument("--measures", nargs="+", choices=MEASURES, default=list(MEASURES))
    parser.add_argument("--count", type=int, default=128, help="held-out scenes of each measure")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument(
        "--size", type=int, help="pixels a side, the model's own if left out; others are scaled to be measured"
    )
    parser.add_argument("--seed", type=int, default=1000, help="of the first picture; each next one adds 1")
    parser.add_argument("--json", type=Path, help="where to write figures and one record per picture")
    parser.add_argument(
        "--failures", type=Path, help="where to write what the last model got wrong, as contact_sheet reads it"
    )
    args = parser.parse_args()
    if not args.diffusers and not args.model:
        parser.error("give --diffusers, --model with --opengen, or both")
    if args.model and not args.opengen:
        parser.error("--model needs --opengen")
    return args


if __name__ == "__main__":
    main()
