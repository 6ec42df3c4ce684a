import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.codemode import tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("hello world", 2), ("tiktoken is great!", 6), ("<|endoftext|>", 7)],
)
def test_counts_are_those_of_o200k_base(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


def test_cutting_long_prose_into_pieces_changes_nothing() -> None:
    text = "The quick brown fox jumps over the lazy dog, 12345 times.\n" * 2000
    whole = len(tokens._encoding().encode_ordinary(text))
    assert tokens.count(text) == whole


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        " " * 1_000_000,
        "\t " * 500_000,
        "\n" * 1_000_000,
        "🙂" * 200_000,
    ],
    ids=["letter", "spaces", "tabs", "lines", "emoji"],
)
def test_a_megabyte_of_one_thing_is_counted_quickly(text: str) -> None:
    started = time.process_time()
    assert tokens.count(text) > 1000
    assert time.process_time() - started < 3


def test_half_a_surrogate_pair_is_counted() -> None:
    assert tokens.count("a\ud800b") > 0


def test_threads_agree() -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = set(pool.map(tokens.count, ["hello world"] * 64))
    assert counts == {2}


def test_counting_needs_no_network() -> None:
    code = (
        "import socket\n"
        "def refuse(*args, **kwargs): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\n"
        "socket.getaddrinfo = refuse\n"
        "from gateway.codemode import tokens\n"
        "print(tokens.count('hello world'))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TIKTOKEN_CACHE_DIR": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "2\n"
