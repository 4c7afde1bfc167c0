"""Pictures of the kinds that people have, red at the left and blue at the right, as small files. Needs Pillow 13 and numpy.

    python tests/data/kinds/make.py
"""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
RED, BLUE = (220, 30, 30), (30, 60, 200)


def two(width, height, left=RED, right=BLUE):
    picture = Image.new("RGB", (width, height), left)
    picture.paste(right, (width // 2, 0, width, height))
    return picture


two(80, 48).convert("CMYK").save(HERE / "cmyk.jpg", quality=92)

# Lies on its side; its orientation says how to turn it: 64 × 48 upright.
turned = two(64, 48).transpose(Image.Transpose.ROTATE_90)
exif = Image.Exif()
exif[0x0112] = 6  # to be turned by 90° clockwise
exif[0x010F] = "OpenGen test camera"
turned.save(HERE / "turned.jpg", exif=exif, quality=92)

two(64, 48).save(HERE / "moving.gif", save_all=True, append_images=[two(64, 48, BLUE, RED)], duration=100, loop=0)
two(64, 48).save(HERE / "whole.jpg", quality=92)
