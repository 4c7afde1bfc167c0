"""Makes tests/golden/single/*.gguf.head: GGUFs that stable-diffusion.cpp wrote of the checkpoints of make_single.py.

    python tests/golden/make_gguf.py    # packages: requirements.txt, and cyllama, which is stable-diffusion.cpp as a wheel

Of each file its header is kept, and of the tensors whose values follow from their names nothing: tests/single_gguf.rs
makes them again and holds the whole file to its SHA-256. Blocks that stable-diffusion.cpp rounds in its own way are kept.
"""

import hashlib
import json
import tempfile
from pathlib import Path

import numpy as np
from cyllama.sd.stable_diffusion import SDType, convert_model
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader
from safetensors.torch import save_file

from make_single import MODELS, OUT, names_of, weight

# One matrix of each type; those of 256 values in blocks are where rows are as long.
RULES = {
    "input_blocks.1.1": "q4_0", "input_blocks.2.1": "q4_1", "output_blocks.9.1": "q5_0", "output_blocks.10.1": "q5_1",
    "output_blocks.11.1": "q8_0", "input_blocks.4.1": "q2_K", "input_blocks.5.1": "q3_K", "input_blocks.7.1": "q4_K",
    "input_blocks.8.1": "q5_K", "middle_block.1": "q6_K", "output_blocks.3.1": "bf16", "output_blocks.4.1": "f32",
}
MIXED = ",".join(f"{place}.transformer_blocks.0.ff.net.2.weight={kind}" for place, kind in RULES.items())
# What follows from a tensor's name whoever writes it: these types are rounded in one way only.
PLAIN = (Type.F32, Type.F16, Type.BF16, Type.Q8_0)
COMPONENTS = {"unet": "unet.", "vae": "vae.", "text_encoder": "te."}


def write_folder(facts, folder):
    """The folder in diffusers' layout that make_single.py describes, in half precision."""
    for component, tensors in facts["folder"].items():
        rows = lambda origin, first, shape: weight(origin, facts["shapes"][origin])[first:first + shape[0]].reshape(shape)
        stem = "model" if component == "text_encoder" else "diffusion_pytorch_model"
        (folder / component).mkdir(parents=True)
        save_file({name: rows(*place).half().contiguous() for name, place in tensors.items()},
                  folder / component / f"{stem}.safetensors")
        (folder / component / "config.json").write_text(json.dumps(facts["configs"][component]))
    (folder / "model_index.json").write_text("{}")


def renamed(path, model):
    """For every tensor of a GGUF in F16 that has another name than in the checkpoint, the one that has its values."""
    digest = lambda values: hashlib.sha256(np.ascontiguousarray(values, dtype=np.float16).tobytes()).hexdigest()
    known = {digest(weight(name, shape).numpy().ravel()): name for name, shape in names_of(model).items()}
    names = {tensor.name: known.get(digest(tensor.data.ravel())) for tensor in GGUFReader(path).tensors}
    return {name: origin for name, origin in names.items() if origin not in (None, name)}


def main():
    facts = {}
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        # An autoencoder has to be named; one tensor that no model has adds nothing else.
        save_file({"nothing": weight("nothing", (32,))}, place / "vae.safetensors")
        for name, model in MODELS.items():
            save_file({tensor: weight(tensor, shape).half() for tensor, shape in names_of(model).items()},
                      place / f"{name}.safetensors")
        write_folder(json.loads((OUT / "sd1.json").read_text()), place / "folder")
        for name, source, kind, rules, convert_names in (
                ("sd1.mixed", "sd1.safetensors", SDType.F16, MIXED, False),
                ("sd1.folder", "folder", SDType.F16, " ", False),
                ("sd2.q8_0", "sd2.safetensors", SDType.Q8_0, " ", False),
                ("sd2.names", "sd2.safetensors", SDType.F16, " ", True)):
            path = place / f"{name}.gguf"
            assert convert_model(str(place / source), str(path), kind, vae_path=str(place / "vae.safetensors"),
                                 tensor_type_rules=rules, convert_name=convert_names)
            reader, whole = GGUFReader(path), path.read_bytes()
            (OUT / f"{name}.gguf.head").write_bytes(whole[:reader.data_offset])
            blocks = {tensor.name: tensor.data.tobytes() for tensor in reader.tensors if tensor.tensor_type not in PLAIN}
            (OUT / f"{name}.gguf.blocks").write_bytes(b"".join(blocks.values()))
            facts[name] = {"model": name.partition(".")[0], "bytes": len(whole),
                           "sha256": hashlib.sha256(whole).hexdigest(), "blocks": list(blocks),
                           "renamed": renamed(path, MODELS["sd2"]) if convert_names else {}}
            print(name, len(reader.tensors), len(whole), sum(map(len, blocks.values())), len(facts[name]["renamed"]),
                  sorted({tensor.name.split(".")[0] for tensor in reader.tensors}))
            if not blocks:
                (OUT / f"{name}.gguf.blocks").unlink()
    (OUT / "gguf.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
