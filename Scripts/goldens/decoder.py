#!/usr/bin/env python3
"""Makes the decoder's fixtures and what Pillow makes of them.

Writes to Tests/ImageSimilarityVipsTests/Fixtures: small pictures in many formats, all drawn here, and for each of them
NAME.MODE.rgb, the 24x16x3 bytes that Pillow's bicubic resize gives in that resize mode.

    python3 Scripts/goldens/decoder.py          needs numpy and pillow (made with 13.0)
"""
import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

FOLDER = Path(__file__).resolve().parents[2] / "Tests/ImageSimilarityVipsTests/Fixtures"
TARGET = (24, 16)
BACKGROUND = (10, 120, 250)


def scene(width=61, height=47):
    """A gradient with a dark disc and a bright bar: smooth and sharp, and no symmetry."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    rgb = np.stack([x / width * 255, y / height * 255, 255 - (x + y) / (width + height) * 255], axis=2)
    rgb[(x - width * 0.3) ** 2 + (y - height * 0.35) ** 2 < (height * 0.2) ** 2] = (20, 30, 60)
    rgb[int(height * 0.7) : int(height * 0.8), int(width * 0.4) :] = (250, 240, 200)
    return rgb


def squash(image):
    return image.resize(TARGET, Image.BICUBIC)


def crop(image):
    """Scaled so that the target is 224/256 of it on the side that binds; then torchvision's CenterCrop."""
    (w, h), (tw, th) = image.size, TARGET
    if tw * h <= th * w:
        sh = (th * 256 + 112) // 224
        size = (max(tw, sh * w // h), sh)
    else:
        sw = (tw * 256 + 112) // 224
        size = (sw, max(th, sw * h // w))
    left, top = int(round((size[0] - tw) / 2)), int(round((size[1] - th) / 2))
    return image.resize(size, Image.BICUBIC).crop((left, top, left + tw, top + th))


def pad(image):
    (w, h), (tw, th) = image.size, TARGET
    size = (tw, max(1, round(tw * h / w))) if tw * h <= th * w else (max(1, round(th * w / h)), th)
    frame = Image.new("RGB", TARGET, BACKGROUND)
    frame.paste(image.resize(size, Image.BICUBIC), ((tw - size[0]) // 2, (th - size[1]) // 2))
    return frame


MODES = {"squash": squash, "crop": crop, "pad": pad}


def write(name, data, reference, modes=("squash",)):
    (FOLDER / name).write_bytes(data)
    for mode in modes:
        (FOLDER / f"{name}.{mode}.rgb").write_bytes(MODES[mode](reference).tobytes())


def encoded(image, format, **options):
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def decoded(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def flattened(image):
    image = image.convert("RGBA")
    frame = Image.new("RGBA", image.size, BACKGROUND + (255,))
    return Image.alpha_composite(frame, image).convert("RGB")


def swapped_profile():
    """sRGB with the primaries of red and green exchanged: a profile that nobody can overlook."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    entries = {}
    for i in range(struct.unpack_from(">I", profile, 128)[0]):
        at = 132 + 12 * i
        entries[bytes(profile[at : at + 4])] = at
    red, green = entries[b"rXYZ"], entries[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    exact = scene()
    rgb = Image.fromarray(exact.round().astype(np.uint8))
    grey = rgb.convert("L")

    write("rgb.png", encoded(rgb, "PNG"), rgb, MODES)
    tall = rgb.transpose(Image.ROTATE_90)
    write("tall.png", encoded(tall, "PNG"), tall, MODES)
    exact_size = rgb.resize(TARGET, Image.BICUBIC)
    data = encoded(exact_size, "JPEG", quality=90, subsampling=2)
    write("exact-size.jpg", data, decoded(data))
    for name, options in {
        "420.jpg": dict(quality=90, subsampling=2),
        "444.jpg": dict(quality=95, subsampling=0),
        "progressive.jpg": dict(quality=90, progressive=True),
    }.items():
        data = encoded(rgb, "JPEG", **options)
        write(name, data, decoded(data))
    data = encoded(grey, "JPEG", quality=90)
    write("grey.jpg", data, decoded(data))

    grey16 = (np.asarray(grey).astype(np.uint16) * 257)
    write("grey16.png", encoded(Image.fromarray(grey16), "PNG"), grey.convert("RGB"))
    palette = rgb.quantize(32)
    write("palette.png", encoded(palette, "PNG"), palette.convert("RGB"))
    bits = grey.convert("1")
    write("1bit.png", encoded(bits, "PNG"), bits.convert("RGB"))
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, rgb.width).round().astype(np.uint8), (rgb.height, 1)))
    translucent = rgb.copy()
    translucent.putalpha(ramp)
    write("alpha.png", encoded(translucent, "PNG"), flattened(translucent))
    grey_alpha = Image.merge("LA", (grey, ramp))
    write("grey-alpha.png", encoded(grey_alpha, "PNG"), flattened(grey_alpha))

    data = encoded(rgb, "WEBP", lossless=True)
    write("lossless.webp", data, rgb)
    write("lzw.tif", encoded(rgb, "TIFF", compression="tiff_lzw"), rgb)
    other = Image.new("RGB", rgb.size, (255, 0, 255))
    write("pages.tif", encoded(rgb, "TIFF", save_all=True, append_images=[other]), rgb)
    write("animated.webp", encoded(rgb, "WEBP", lossless=True, save_all=True, append_images=[other]), rgb)
    data = encoded(rgb.quantize(64), "GIF", save_all=True, append_images=[other.quantize(2)])
    write("animated.gif", data, decoded(data))

    profile = swapped_profile()
    srgb = ImageCms.createProfile("sRGB")
    as_srgb = ImageCms.profileToProfile(
        rgb, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    write("profile.png", encoded(rgb, "PNG", icc_profile=profile), as_srgb)

    # Ten times the target: shrunk while it is loaded.
    large = Image.fromarray(scene(240, 160).round().astype(np.uint8))
    data = encoded(large, "JPEG", quality=85)
    write("large.jpg", data, decoded(data))

    # Pure inks; what colour they come to is the profile's business, so there is no golden.
    cmyk = np.zeros((16, 40, 4), np.uint8)
    for i in range(4):
        cmyk[:, 8 * (i + 1) :, :] = 0
        cmyk[:, 8 * (i + 1) : 8 * (i + 2), i] = 255
    (FOLDER / "inks.jpg").write_bytes(encoded(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=95, subsampling=0))

    # One upright picture, stored in the eight ways.
    stored = {
        1: None, 2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
        5: Image.TRANSPOSE, 6: Image.ROTATE_90, 7: Image.TRANSVERSE, 8: Image.ROTATE_270,
    }
    for orientation, turn in stored.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = rgb if turn is None else rgb.transpose(turn)
        (FOLDER / f"orientation-{orientation}.png").write_bytes(encoded(image, "PNG", exif=exif))


if __name__ == "__main__":
    main()
