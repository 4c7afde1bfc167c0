"""Makes tests/golden/upscalers: what spandrel makes of a small picture with tiny upscalers of every kind.

    python tests/golden/make_upscalers.py

No weights are kept: each value follows from its tensor's name in the file, as in `single`; kernels have twice those values, slopes
four times those of a bias. spandrel reads each file as it is, tells from names and shapes what it is, and runs it in f32.
`NAME.safetensors` holds the picture `[1, 3, h, w]` in 0 to 1 and the result; `manifest.json` what each has to be recognised as, the
names and shapes of its tensors, and the hashes of all files.
"""

import hashlib
import json
from importlib.metadata import version

import torch
from safetensors.torch import save_file
from spandrel import ModelLoader

from make_goldens import HERE, SEED
from make_single import weight

OUT = HERE / "upscalers"


class Shapes(dict):
    """Tensors by name."""

    def convolution(self, name, inputs, outputs):
        self[f"{name}.weight"] = (outputs, inputs, 3, 3)
        self[f"{name}.bias"] = (outputs,)


def rrdb(blocks, doublings, unshuffle, width=8, growth=32):
    """An RRDBNet under Real-ESRGAN's names. spandrel takes its growth to be 32."""
    shapes = Shapes()
    shapes.convolution("conv_first", 3 * unshuffle ** 2, width)
    for block in range(blocks):
        for dense in range(1, 4):
            for conv in range(1, 6):
                inputs, outputs = width + (conv - 1) * growth, growth if conv < 5 else width
                shapes.convolution(f"body.{block}.rdb{dense}.conv{conv}", inputs, outputs)
    shapes.convolution("conv_body", width, width)
    for doubling in range(1, doublings + 1):
        shapes.convolution(f"conv_up{doubling}", width, width)
    shapes.convolution("conv_hr", width, width)
    shapes.convolution("conv_last", width, 3)
    return shapes


def first_names(shapes, blocks, doublings):
    """ESRGAN's first names, in which activations and enlargings count."""
    places = {"conv_first": "model.0", "conv_body": f"model.1.sub.{blocks}"}
    places |= {f"conv_up{number}": f"model.{3 * number}" for number in range(1, doublings + 1)}
    places |= {"conv_hr": f"model.{3 * doublings + 2}", "conv_last": f"model.{3 * doublings + 4}"}

    def renamed(name):
        layer, leaf = name.rsplit(".", 1)
        if layer.startswith("body."):
            _, block, dense, conv = layer.split(".")
            return f"model.1.sub.{block}.{dense.upper()}.{conv}.0.{leaf}"
        return f"{places[layer]}.{leaf}"
    return {renamed(name): shape for name, shape in shapes.items()}


def trunk_names(shapes):
    """BSRGAN's and RealSR's."""
    def renamed(name):
        for new, old in [("conv_body", "trunk_conv"), ("conv_up", "upconv"), ("conv_hr", "HRconv")]:
            name = name.replace(new, old)
        return name.replace("body.", "RRDB_trunk.", 1).replace("rdb", "RDB") if name.startswith("body.") else name
    return {renamed(name): shape for name, shape in shapes.items()}


def compact(convolutions, scale, width=12):
    shapes = Shapes()
    for layer in range(convolutions + 1):
        shapes.convolution(f"body.{2 * layer}", width if layer else 3, width)
        shapes[f"body.{2 * layer + 1}.weight"] = (width,)
    shapes.convolution(f"body.{2 * convolutions + 2}", width, 3 * scale * scale)
    return shapes


def wrapped(shapes):
    return {f"params_ema.{name}": shape for name, shape in shapes.items()}


UPSCALERS = {
    "esrgan-x4": first_names(rrdb(2, 2, 1), 2, 2),
    "esrgan-x2": first_names(rrdb(1, 1, 1), 1, 1),
    "esrgan-x1": first_names(rrdb(1, 0, 1), 1, 0),
    "bsrgan-x4": trunk_names(rrdb(1, 2, 1)),
    "real-esrgan-x4": rrdb(1, 2, 1),
    "real-esrgan-x2": rrdb(1, 2, 2),
    "real-esrgan-x1": rrdb(1, 2, 4),
    "anime-6": rrdb(6, 2, 1, width=4),
    "compact-x4": compact(3, 4),
    "compact-x2": wrapped(compact(2, 2)),
    "compact-x1": compact(1, 1),
}
# Another for the sizes at which pixels do not come in whole blocks.
SIZES = {"real-esrgan-x2": (13, 10), "real-esrgan-x1": (15, 10)}


def values(name, shape):
    if len(shape) > 1:
        return 2 * weight(name, shape)
    return weight(name, shape) if name.endswith("bias") else 4 * weight(f"{name}.bias", shape)


def main():
    OUT.mkdir(exist_ok=True)
    cases = []
    for seed, (name, shapes) in enumerate(UPSCALERS.items()):
        # spandrel is given what a checkpoint in PyTorch's own format holds under that key.
        tensors = {key.removeprefix("params_ema."): values(key, shape) for key, shape in shapes.items()}
        found = ModelLoader().load_from_state_dict(tensors)
        found.model.float().eval()
        height, width = SIZES.get(name, (12, 9))
        picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(SEED + seed))
        with torch.no_grad():
            enlarged = found.model(picture)
        assert enlarged.shape == (1, 3, height * found.scale, width * found.scale), enlarged.shape
        path = OUT / f"{name}.safetensors"
        save_file({"picture": picture, "enlarged": enlarged.contiguous()}, path)
        cases.append({"name": name, "architecture": found.architecture.id, "scale": found.scale, "tags": found.tags,
                      "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "shapes": shapes})
        print(f"{name:16} {found.architecture.id} x{found.scale} {found.tags}, spread {float(enlarged.std()):.3f}")
    manifest = {"format": 1, "remake": "python tests/golden/make_upscalers.py", "seed": SEED,
                "versions": {name: version(name) for name in ("torch", "spandrel", "safetensors")}}
    lines = [",\n".join(f'"{key}": {json.dumps(value)}' for key, value in manifest.items())]
    lines.append('"cases": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]")
    (OUT / "manifest.json").write_text("{" + ",\n".join(lines) + "}\n")


if __name__ == "__main__":
    main()
