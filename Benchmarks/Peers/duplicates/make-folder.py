"""Makes the folder of the duplicates benchmark: photographs, and edited copies of most of them.

    python make-folder.py ../../../../shared/data/caltech101-20 /tmp/duplicates

Writes DIR/photos/*.jpg under names that say nothing, and DIR/truth.jsonl: a line per picture with its name, its original
(the name of the photograph that it comes from, itself for an original) and its edit. Everything depends on --seed alone.

Faces_easy is left out: its pictures are cut out of those in Faces. Photographs that Caltech-101 itself holds twice are
listed in same-photograph.txt, one group a line, and count as one.
"""

import argparse
import json
import pathlib
import random
import shutil

from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps

HERE = pathlib.Path(__file__).parent
LEFT_OUT = {"Faces_easy"}


def crop(image, rng):
    """70 % of each side, anywhere."""
    width, height = round(image.width * 0.7), round(image.height * 0.7)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def watermark(image, rng):
    """A line of half-transparent text across the picture, as agencies have it."""
    size = max(14, image.width // 8)
    font = ImageFont.load_default(size)
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    box = draw.textbbox((0, 0), "SAMPLE PHOTO", font=font)
    x = (image.width - box[2]) // 2
    y = rng.randint(0, max(1, image.height - box[3]))
    draw.text((x, y), "SAMPLE PHOTO", font=font, fill=(255, 255, 255, 150), stroke_width=1, stroke_fill=(0, 0, 0, 120))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


# Name: function of picture and random numbers, quality of the JPEG file.
EDITS = {
    "resize": (lambda i, r: i.resize((max(1, i.width // 2), max(1, i.height // 2)), Image.Resampling.LANCZOS), 90),
    "recompress": (lambda i, r: i, 30),
    "crop": (crop, 90),
    "rotate": (lambda i, r: i.transpose(r.choice([Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270])), 90),
    "mirror": (lambda i, r: ImageOps.mirror(i), 90),
    "brightness": (lambda i, r: ImageEnhance.Brightness(i).enhance(r.choice([0.6, 1.5])), 90),
    "watermark": (watermark, 90),
    "grey": (lambda i, r: ImageOps.grayscale(i), 90),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--edits", type=int, default=2, help="copies of each photograph that has some")
    parser.add_argument("--share", type=float, default=0.75, help="of the photographs that have copies")
    arguments = parser.parse_args()

    photos = arguments.folder / "photos"
    photos.mkdir(parents=True)
    originals = sorted(p for p in arguments.source.rglob("*.jpg") if p.parent.name not in LEFT_OUT)
    same = {}
    for line in (HERE / "same-photograph.txt").read_text().splitlines():
        names = [] if line.startswith("#") else line.split()
        for name in names:
            same[name] = names[0]

    rng = random.Random(arguments.seed)
    kinds = ["exact", *EDITS]
    entries = []
    for path in originals:
        name = f"{path.parent.name}/{path.name}"
        original = same.get(name, name)
        entries.append((path, original, name, "original"))
        if rng.random() < arguments.share:
            for edit in rng.sample(kinds, arguments.edits):
                entries.append((path, original, name, edit))
    rng.shuffle(entries)
    with open(arguments.folder / "truth.jsonl", "w") as truth:
        for number, (path, original, source, edit) in enumerate(entries):
            target = photos / f"{number:05}.jpg"
            if edit in EDITS:
                function, quality = EDITS[edit]
                with Image.open(path) as image:
                    function(image.convert("RGB"), rng).save(target, quality=quality)
            else:
                shutil.copyfile(path, target)
            line = {"name": target.name, "original": original, "source": source, "edit": edit}
            truth.write(json.dumps(line) + "\n")


main()
