"""Verifies this evidence with pymerkle and cryptography, and nothing of Tollgate's.

    pip install pymerkle cryptography
    python verify.py --key 'NAME+ID+BASE64'

Take the key from whoever runs the trail, or from what you kept, not from this folder:
without --key the keys of keys.txt are believed. Exit code 0: all of it holds.
"""

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InclusionProof, InvalidProof

FOLDER = Path(__file__).resolve().parent


def parse_key(line):
    """Name, id and Ed25519 key of a line ``name+id+base64``."""
    name, number, encoded = line.strip().split("+", 2)
    data = base64.b64decode(encoded)
    digest = hashlib.sha256(name.encode() + b"\n" + data).digest()
    assert data[0] == 1 and digest[:4].hex() == number, f"misprinted key {name}"
    return name, digest[:4], Ed25519PublicKey.from_public_bytes(data[1:])


def open_note(note, keys):
    """Size and root of a checkpoint that one of the keys signed."""
    text, _, below = note.rpartition("\n\n")
    text += "\n"
    for line in below.splitlines():
        _, name, encoded = line.split(" ")
        data = base64.b64decode(encoded)
        for known, number, key in keys:
            if (known, number) == (name, data[:4]):
                key.verify(data[4:], text.encode())
                _, size, root, _ = text.split("\n")
                return int(size), base64.b64decode(root)
    raise ValueError("the checkpoint is signed by none of the keys")


def rule_of(index, size):
    """On which side each hash of an inclusion proof stands (RFC 9162, 2.1.3.1)."""
    start, end, bit, sides = 0, size, 0, []
    while end - start > 1:
        middle = start + (1 << (end - start - 1).bit_length() - 1)
        sides.append(bit)
        start, end, bit = (start, middle, 0) if index < middle else (middle, end, 1)
    return [bit, *sides[::-1]]


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def goes_on(first, first_root, second, second_root, path):
    """Whether the second tree begins with the first (RFC 9162, 2.1.4.2)."""
    if first == second:
        return first_root == second_root
    path = [first_root, *path] if first & (first - 1) == 0 else path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for one in path[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(one, fr), node(one, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, one)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def lines(name):
    text = (FOLDER / name).read_bytes()
    return text.split(b"\n")[:-1]


def faults(keys):
    """What does not hold, in words."""
    size, root = open_note((FOLDER / "checkpoint.txt").read_text("utf-8"), keys)
    bodies, proofs = lines("events.jsonl"), list(map(json.loads, lines("proofs.jsonl")))
    if len(bodies) != len(proofs):
        yield "events.jsonl and proofs.jsonl are not of the same length"
    for body, proof in zip(bodies, proofs):
        uid = json.loads(body)["uid"]
        leaf = hashlib.sha256(b"\x00" + body).digest()
        path = [leaf, *map(bytes.fromhex, proof["path"])]
        index, rule = proof["index"], rule_of(proof["index"], size)
        claim = InclusionProof("sha256", True, size, index + 1, rule, path)
        try:
            claim.verify(leaf, root, index=index + 1, size=size)
        except InvalidProof as error:
            yield f"event {uid}: {error}"
        if uid != proof["uid"]:
            yield f"event {uid} stands beside the proof of {proof['uid']}"
    for step in map(json.loads, lines("consistency.jsonl")):
        first, first_root = open_note(step["checkpoint"], keys)
        path = list(map(bytes.fromhex, step["path"]))
        if not goes_on(first, first_root, size, root, path):
            yield f"the tree of {size} does not go on from that of {first}"
    print(f"{len(bodies)} events in a tree of {size}, root {root.hex()}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--key", action="append", help="a public key you trust")
    given = parser.parse_args().key
    if not given:
        print("NOTE: believing the keys of keys.txt; give --key to trust your own")
    found = given or (FOLDER / "keys.txt").read_text("utf-8").splitlines()
    try:
        wrong = list(faults([parse_key(line) for line in found if line]))
    except (InvalidSignature, ValueError, KeyError) as error:
        wrong = [f"the checkpoint does not hold: {error or 'wrong signature'}"]
    for fault in wrong:
        print("FAULT:", fault)
    print("FAULTS FOUND" if wrong else "ALL OF IT HOLDS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
