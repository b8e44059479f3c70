#!/usr/bin/env python3
"""Makes the bundled demo photographs and the C file that embeds them, and prints their table for NOTICE.

    python3 Scripts/photos/make-demo-photos.py [folder with the .deb files]

Needs Pillow, apt-get and dpkg-deb (Debian 12). Without an argument, apt-get downloads the two packages. Each photograph
from GCompris must be declared public domain or CC0 by the README that stands beside it in the package; those from
scikit-image are declared so in the documentation strings of its module skimage.data.
"""

import io
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

from PIL import Image

GCOMPRIS = "gcompris-qt-data"
SKIMAGE = "python3-skimage"
VERSIONS = {GCOMPRIS: "3.1-2", SKIMAGE: "0.19.3-8"}
LONGER_SIDE = 640
QUALITY = 84
TARGET = pathlib.Path(__file__).parents[2] / "Sources/CDemoPhotos"
FREE_LICENCES = {"public domain": "public domain", "cc0-1.0": "CC0-1.0"}

# Demo name: (resource bundle, path under its resource folder)
FROM_GCOMPRIS = {
    "arena-arles": ("explore_monuments", "france/arlesAmphitheater.webp"),
    "arena-rome": ("explore_monuments", "wonders/colosseum.webp"),
    "bird-kingfisher": ("erase", "kingfisher.webp"),
    "bird-macaw": ("explore_world_animals", "animals/scarlet_macaw.webp"),
    "bison": ("explore_world_animals", "animals/bison.webp"),
    "castle-chambord": ("explore_monuments", "france/chateaudeChambord.webp"),
    "castle-chenonceau": ("explore_monuments", "france/chateaudeChenonceau.webp"),
    "cat-jaguars": ("explore_world_animals", "animals/jaguar.webp"),
    "giraffe-head": ("erase", "giraffe.webp"),
    "giraffe-herd": ("explore_world_animals", "animals/giraffe.webp"),
    "moose": ("explore_world_animals", "animals/moose.webp"),
    "panda-giant": ("explore_world_animals", "animals/panda.webp"),
    "panda-red": ("erase", "red_panda.webp"),
    "pyramid-giza": ("explore_monuments", "egypt/greatPyramidOfGiza.webp"),
    "pyramid-red": ("explore_monuments", "egypt/redPyramid.webp"),
}
# Demo name: (file in skimage/data, author, licence), from the documentation strings of skimage.data
FROM_SKIMAGE = {
    "cat-tabby": ("chelsea.png", "Stefan van der Walt", "CC0-1.0"),
    "coffee": ("coffee.png", "Rachel Michetti", "CC0-1.0"),
    "rocket": ("rocket.jpg", "SpaceX", "public domain"),
}


def unpack(package, debs, folder):
    """The folder with the files of a Debian package, after checking that it is the version whose licences were read."""
    (deb,) = debs.glob(f"{package}_{VERSIONS[package]}_*.deb")
    target = folder / package
    subprocess.run(["dpkg-deb", "-x", deb, target], check=True)
    return target


def read_rcc(data):
    """The files in a Qt resource bundle (rcc format 1 to 3), as {path: bytes}."""
    magic, version, tree, values, names = struct.unpack_from(">4s4I", data)
    if magic != b"qres":
        raise ValueError("not a Qt resource bundle")
    node_size = 14 if version < 2 else 22
    files = {}

    def walk(index, parents):
        name, flags = struct.unpack_from(">IH", data, tree + index * node_size)
        first, second = struct.unpack_from(">II", data, tree + index * node_size + 6)
        if index > 0:
            (length,) = struct.unpack_from(">H", data, names + name)
            parents = parents + [data[names + name + 6 :][: 2 * length].decode("utf-16-be")]
        if flags & 2:
            for child in range(second, second + first):
                walk(child, parents)
        else:
            (length,) = struct.unpack_from(">I", data, values + second)
            content = data[values + second + 4 :][:length]
            files["/".join(parents)] = zlib.decompress(content[4:]) if flags & 1 else content

    walk(0, [])
    return files


def credit(readme, file):
    """(author, licence, source) that a GCompris README states for a file: paragraphs of `Key: value` lines, where
    `Files:` may go on with one file a line."""
    for paragraph in re.split(r"\n\s*\n", readme):
        fields = dict(re.findall(r"^(\w+):\s*((?:.|\n(?!\w+:))*)", paragraph, re.MULTILINE))
        if any(f"/{file}".endswith(f"/{listed}") for listed in fields.get("Files", "").split()):
            licence = FREE_LICENCES[fields["License"].strip().lower()]
            return fields["Copyright"].strip(), licence, fields["Source"].strip()
    raise ValueError(f"no README paragraph names {file}")


def gcompris_photos(root):
    for name, (activity, path) in FROM_GCOMPRIS.items():
        files = read_rcc((root / f"usr/share/gcompris-qt/rcc/{activity}.rcc").read_bytes())
        prefix = f"gcompris/src/activities/{activity}/resource/"
        folder = pathlib.PurePosixPath(prefix + path).parent
        while f"{folder}/README" not in files:
            folder = folder.parent
        author, licence, source = credit(files[f"{folder}/README"].decode(), path)
        yield name, files[prefix + path], author, licence, f"{GCOMPRIS} {VERSIONS[GCOMPRIS]}: {activity}/{path}", source


def skimage_photos(root):
    for name, (file, author, licence) in FROM_SKIMAGE.items():
        data = (root / "usr/lib/python3/dist-packages/skimage/data" / file).read_bytes()
        yield name, data, author, licence, f"{SKIMAGE} {VERSIONS[SKIMAGE]}: {file}", ""


def shrink(data):
    """The photograph as an sRGB JPEG without metadata, its longer side at most LONGER_SIDE pixels."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((LONGER_SIDE, LONGER_SIDE), Image.Resampling.LANCZOS)
    output = io.BytesIO()
    image.save(output, "JPEG", quality=QUALITY, optimize=True)
    return output.getvalue()


def write_c(names):
    identifiers = {name: name.replace("-", "_") for name in names}
    lines = [
        "// Written by Scripts/photos/make-demo-photos.py.",
        "",
        '#include "CDemoPhotos.h"',
        "",
        "// The package is C11; `#embed` is C23, which clang offers to older standards as an extension.",
        '#pragma clang diagnostic ignored "-Wc23-extensions"',
        "",
    ]
    for name, identifier in identifiers.items():
        lines += [f"static const unsigned char {identifier}[] = {{", f'#embed "photos/{name}.jpg"', "};"]
    lines += [
        "",
        "static const struct {",
        "  const char *name;",
        "  const unsigned char *bytes;",
        "  size_t count;",
        "} photos[] = {",
    ]
    lines += [f'  {{"{name}.jpg", {identifier}, sizeof {identifier}}},' for name, identifier in identifiers.items()]
    lines += [
        "};",
        "",
        "size_t imsim_demo_photo_count(void) { return sizeof photos / sizeof photos[0]; }",
        "",
        "const char *imsim_demo_photo_name(size_t index) { return photos[index].name; }",
        "",
        "const unsigned char *imsim_demo_photo_bytes(size_t index, size_t *count) {",
        "  *count = photos[index].count;",
        "  return photos[index].bytes;",
        "}",
        "",
    ]
    (TARGET / "demo_photos.c").write_text("\n".join(lines))


def main():
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        debs = folder
        if len(sys.argv) > 1:
            debs = pathlib.Path(sys.argv[1])
        else:
            pins = [f"{package}={version}" for package, version in VERSIONS.items()]
            subprocess.run(["apt-get", "download", *pins], cwd=folder, check=True)
        photos = sorted(
            [
                *gcompris_photos(unpack(GCOMPRIS, debs, folder)),
                *skimage_photos(unpack(SKIMAGE, debs, folder)),
            ]
        )
    (TARGET / "photos").mkdir(exist_ok=True)
    total = 0
    for name, data, author, licence, package, source in photos:
        jpeg = shrink(data)
        total += len(jpeg)
        (TARGET / "photos" / f"{name}.jpg").write_bytes(jpeg)
        print(f"{name}.jpg | {author} | {licence} | {package} | {source}")
    write_c([name for name, *_ in photos])
    print(f"{len(photos)} photographs, {total} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
