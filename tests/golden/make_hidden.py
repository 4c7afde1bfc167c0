"""Makes tests/golden/hidden.png: a picture with settings in the lowest bits of its alpha, as NovelAI's published reader expects them.

    python tests/golden/make_hidden.py    # the standard library alone

https://github.com/NovelAI/novelai-image-metadata: column after column, each from above, the highest bit of a byte first: the word
`stealth_pngcomp`, the number of bits that follow as 32 bits, and JSON packed by gzip, of which `Comment` is JSON once more.
"""

import gzip
import json
import struct
import zlib
from pathlib import Path

WIDTH, HEIGHT = 48, 80
COMMENT = {"prompt": "a {red} apple", "uc": "bad", "steps": 28, "width": 48, "height": 80, "scale": 5.0, "seed": 42, "sampler": "k_euler", "noise_schedule": "native",
           "request_type": "PromptGenerateRequest"}


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main():
    text = json.dumps({"Description": COMMENT["prompt"], "Software": "NovelAI", "Comment": json.dumps(COMMENT)})
    packed = gzip.compress(text.encode(), mtime=0)
    data = b"stealth_pngcomp" + struct.pack(">I", 8 * len(packed)) + packed
    bits = [byte >> (7 - place) & 1 for byte in data for place in range(8)]
    assert len(bits) <= WIDTH * HEIGHT, len(bits)
    alpha = [[254] * WIDTH for _ in range(HEIGHT)]
    for at, bit in enumerate(bits):
        alpha[at % HEIGHT][at // HEIGHT] |= bit
    rows = (b"\0" + b"".join(bytes([4 * x, 3 * y, 90, alpha[y][x]]) for x in range(WIDTH)) for y in range(HEIGHT))
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 6, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(rows), 9)) + chunk(b"IEND", b"")
    (Path(__file__).parent / "hidden.png").write_bytes(png)
    print(len(png), "bytes,", len(bits), "bits")


if __name__ == "__main__":
    main()
