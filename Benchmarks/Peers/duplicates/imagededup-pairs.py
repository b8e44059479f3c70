"""Writes the pairs that imagededup finds, with its distances: a line per pair with two names and a number, least first.

    python imagededup-pairs.py /tmp/duplicates/photos phash /tmp/duplicates/phash.pairs

Methods: cnn (cosine of MobileNetV3 embeddings, from 0.8 on), phash and dhash (bits of 64 that differ, up to 14).
"""

import sys

from imagededup.methods import CNN, DHash, PHash


def main():
    folder, method, out = sys.argv[1:]
    if method == "cnn":
        found = CNN(verbose=False).find_duplicates(
            image_dir=folder, min_similarity_threshold=0.8, scores=True, num_enc_workers=0
        )
    else:
        hasher = {"phash": PHash, "dhash": DHash}[method](verbose=False)
        found = hasher.find_duplicates(image_dir=folder, max_distance_threshold=14, scores=True)
    pairs = {}
    for name, others in found.items():
        for other, score in others:
            distance = 1 - float(score) if method == "cnn" else float(score)
            pairs[min(name, other), max(name, other)] = distance
    with open(out, "w") as file:
        for (a, b), distance in sorted(pairs.items(), key=lambda item: item[1]):
            file.write(f"{a}\t{b}\t{distance:.6g}\n")


main()
