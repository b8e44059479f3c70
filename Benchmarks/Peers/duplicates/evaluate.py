"""Compares what methods found in a folder of make-folder.py with the truth.

    python evaluate.py /tmp/duplicates/truth.jsonl ours=report.json phash=phash.pairs:10 ...

A method is NAME=FILE or NAME=FILE:LIMIT: a report of 'imsim duplicates --kind exact --kind edited --json', or a file of
pairs, one a line with their distance, of which those up to LIMIT count. LIMIT may be 'best': the largest limit at which
the precision is .99 or more.

Recall: of the edited copies, those that are in a pair with the photograph that they were made from. Precision: of the pairs
with a copy of that edit (for 'all': of all pairs), those of one photograph. Pairs of what same-photograph.txt lists as one
photograph, under two names in Caltech-101, count neither way.
"""

import collections
import json
import sys


def load(argument):
    name, file = argument.split("=", 1)
    file, _, limit = file.partition(":")
    if file.endswith(".json"):
        pairs = []
        for group in json.load(open(file))["groups"]:
            if group["kind"] == "burst":
                continue
            ids = [member["id"] for member in group["members"]]
            pairs += [(a, b, 0.0) for i, a in enumerate(ids) for b in ids[i + 1 :]]
        return name, pairs, 0.0
    pairs = []
    for line in open(file):
        a, b, distance = line.split("\t")
        pairs.append((a, b, float(distance)))
    return name, pairs, limit if limit == "best" else float(limit or "inf")


def verdict(truth, a, b):
    """True for one photograph, False for two, None for what counts neither way."""
    if truth[a]["source"] == truth[b]["source"]:
        return True
    return None if truth[a]["original"] == truth[b]["original"] else False


def best_limit(truth, pairs):
    right = wrong = 0
    best = -1.0
    pairs = sorted(pairs, key=lambda pair: pair[2])
    for i, (a, b, distance) in enumerate(pairs):
        found = verdict(truth, a, b)
        right += found is True
        wrong += found is False
        last = i + 1 == len(pairs) or pairs[i + 1][2] > distance
        if last and right + wrong and right / (right + wrong) >= 0.99:
            best = distance
    return best


def main():
    truth = {entry["name"]: entry for entry in map(json.loads, open(sys.argv[1]))}
    original = {entry["source"]: name for name, entry in truth.items() if entry["edit"] == "original"}
    edits = sorted({entry["edit"] for entry in truth.values()} - {"original"})
    rows = []
    for argument in sys.argv[2:]:
        name, pairs, limit = load(argument)
        if limit == "best":
            limit = best_limit(truth, pairs)
            name += f" <= {limit:.4g}"
        found = {(min(a, b), max(a, b)) for a, b, distance in pairs if distance <= limit}
        right, wrong = collections.Counter(), collections.Counter()
        for a, b in found:
            what = verdict(truth, a, b)
            if what is None:
                continue
            counter = right if what else wrong
            counter["all"] += 1
            for edit in {truth[a]["edit"], truth[b]["edit"]}:
                counter[edit] += 1
        recalled, asked = collections.Counter(), collections.Counter()
        for copy, entry in truth.items():
            if entry["edit"] == "original":
                continue
            source = original[entry["source"]]
            hit = (min(copy, source), max(copy, source)) in found
            for key in ("all", entry["edit"]):
                asked[key] += 1
                recalled[key] += hit
        precision = {key: right[key] / max(1, right[key] + wrong[key]) for key in ["all", *edits]}
        rows.append((name, precision, {key: recalled[key] / asked[key] for key in ["all", *edits]}, wrong["all"]))
    for title, index in (("recall", 2), ("precision", 1)):
        print(f"| {title} | " + " | ".join(["all", *edits]) + " |")
        print("|---" * (len(edits) + 2) + "|")
        for row in rows:
            print(f"| {row[0]} | " + " | ".join(f"{row[index][key]:.3f}" for key in ["all", *edits]) + " |")
        print()
    for row in rows:
        print(f"{row[0]}: {row[3]} wrong pairs")


main()
