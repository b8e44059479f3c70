"""Image files to network-sized pixels as the usual Python pipeline makes them: Pillow, bicubic."""

import pathlib

import numpy as np
from PIL import Image, ImageOps

from networks import SIDE

RESIZE_MODES = ["squash", "crop", "pad"]
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


def files(folder):
    """The image files in a folder and its subfolders, in the order of their paths."""
    return sorted(path for path in pathlib.Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES)


def load(path, resize):
    """RGB pixels, uint8 [SIDE, SIDE, 3].

    squash: both sides to 224. crop: torchvision's Resize(256) and CenterCrop(224). pad: longer side to 224, centred on
    white.
    """
    with Image.open(path) as image:
        image = ImageOps.exif_transpose(image).convert("RGB")
    width, height = image.size
    if resize == "squash":
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    elif resize == "crop":
        shorter = min(width, height)
        width, height = 256 * width // shorter, 256 * height // shorter
        left, top = round((width - SIDE) / 2), round((height - SIDE) / 2)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
        image = image.crop((left, top, left + SIDE, top + SIDE))
    elif resize == "pad":
        image = ImageOps.pad(image, (SIDE, SIDE), Image.Resampling.BICUBIC, color="white")
    else:
        raise ValueError(f"no resize mode is called {resize}")
    return np.asarray(image)
