"""Writes tests/data/noise.json: what `torch.randn` gives on PyTorch's CPU generator.

    python -m training.fixtures_noise

Per case the first and last 16 values' bits and the CRC-32 of all of them (little-endian float32), so that the file
stays small and the check is still bit for bit. PyTorch has two code paths for 16 values or more: the vectorized one
(x86 with AVX2 or AVX-512, which is what nearly everybody runs) and a scalar one. The fixtures are of the former.
"""

import json
import zlib
from pathlib import Path

import torch

SEEDS = [0, 1, 42, 2**32 - 1, 2**32 + 42]
SHAPES = [[1, 4, 8, 8], [1, 4, 64, 64], [1, 4, 17, 23], [1, 1, 3, 5], [1, 1, 1, 1], [1, 1, 4, 4], [1, 1, 1, 17]]


def record(values: torch.Tensor) -> dict:
    values = values.flatten().contiguous()
    bits = values.view(torch.int32).tolist()
    bits = [b & 0xFFFFFFFF for b in bits]
    return {"first": bits[:16], "last": bits[-16:], "crc32": zlib.crc32(values.numpy().tobytes())}


def main() -> None:
    capability = torch.backends.cpu.get_cpu_capability()
    assert capability in ("AVX2", "AVX512"), f"needs the vectorized path, this CPU has {capability}"
    cases = []
    for seed in SEEDS:
        for shape in SHAPES:
            generator = torch.Generator().manual_seed(seed)
            cases.append({"seed": seed, "shape": shape, **record(torch.randn(shape, generator=generator))})
    # Draws that follow each other on one generator, across both paths (the short one keeps a cached value).
    generator = torch.Generator().manual_seed(7)
    sizes = [5, 3, 256, 7, 19, 1, 1, 16]
    sequence = {"seed": 7, "sizes": sizes, "draws": [record(torch.randn(n, generator=generator)) for n in sizes]}
    # The sequence of raw values is long enough to pass through all rare arguments of the logarithm.
    generator = torch.Generator().manual_seed(123)
    long = {"seed": 123, "size": 1 << 20, **record(torch.randn(1 << 20, generator=generator))}
    out = {"torch": torch.__version__, "cpu": capability, "cases": cases, "sequence": sequence, "long": long}
    path = Path(__file__).parent.parent / "tests/data/noise.json"
    path.write_text(json.dumps(out, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
