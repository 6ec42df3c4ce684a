"""The tree against pymerkle, which knows nothing of ours, and against RFC vectors."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InclusionProof, InmemoryTree

from audit.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Growing,
    Node,
    Stored,
    extends,
    includes,
    leaf_hash,
)

MOST = 1_500
sizes = st.one_of(
    st.integers(1, 40),
    st.integers(250, 262),
    st.integers(505, 520),
    st.integers(1, MOST),
)


def leaf(index: int) -> bytes:
    return leaf_hash(b"entry %d" % index)


@cache
def reference() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    tree.append_entries([b"entry %d" % index for index in range(MOST)])
    return tree


def stored(size: int, *steps: int) -> Stored:
    """Our tree, grown in these steps, and read back from what would be stored."""
    growing = Growing()
    levels: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    for upto in (*steps, size):
        hashes = [leaf(index) for index in range(growing.size, upto)]
        levels[0] += hashes
        for node in growing.append(hashes):
            assert len(levels[node.level]) == node.index
            levels[node.level].append(node.hash)

    def read(level: int, first: int, count: int) -> list[bytes]:
        return levels[level][first : first + count]

    made = Stored(read, size)
    assert made.growing() == growing
    return made


@given(sizes, st.data())
def test_roots_are_those_of_an_independent_implementation(
    size: int, data: st.DataObject
) -> None:
    steps = sorted(data.draw(st.lists(st.integers(0, size), max_size=3)))
    ours = stored(size, *steps)
    earlier = data.draw(st.integers(0, size))

    assert ours.root() == reference().get_root(size)
    assert ours.root(earlier) == reference().get_root(earlier)


@given(sizes, st.data())
def test_inclusion_proofs_verify_there_and_its_proofs_here(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = reference().get_root(size)
    theirs = reference().prove_inclusion(index + 1, size)

    proof = stored(size).inclusion(index)
    same = InclusionProof(
        "sha256", True, size, index + 1, theirs.rule, [leaf(index), *proof]
    )
    same.verify(leaf(index), root, index=index + 1, size=size)

    assert proof == theirs.path[1:]
    assert includes(
        index=index, size=size, leaf=leaf(index), proof=theirs.path[1:], root=root
    )


def subproof(first: int, start: int, end: int, whole: bool) -> list[bytes]:
    """RFC 9162, 2.1.4.1, word by word, over pymerkle's hashes."""
    width = end - start
    if first == width:
        return [] if whole else [reference()._get_root(start, end)]
    k = 1
    while k * 2 < width:
        k *= 2
    if first <= k:
        below = subproof(first, start, start + k, whole)
        return [*below, reference()._get_root(start + k, end)]
    below = subproof(first - k, start + k, end, False)
    return [*below, reference()._get_root(start, start + k)]


@given(sizes, st.data())
def test_consistency_proofs_are_those_of_the_rfc(
    size: int, data: st.DataObject
) -> None:
    first = data.draw(st.integers(1, size))
    proof = stored(size).consistency(first)

    assert proof == subproof(first, 0, size, True)
    assert extends(
        first=first,
        second=size,
        first_root=reference().get_root(first),
        second_root=reference().get_root(size),
        proof=proof,
    )


def test_vectors_of_certificate_transparency() -> None:
    entries = (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
    leaves = [leaf_hash(bytes.fromhex(entry)) for entry in entries]
    tree = Stored(lambda _, first, count: leaves[first : first + count], 8)

    assert tree.root().hex() == (
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    )
    assert [one.hex()[:8] for one in tree.consistency(1)] == [
        *("96a296d2", "5f083f0a", "6b47aaf2")
    ]
    assert [one.hex()[:8] for one in tree.consistency(6)] == [
        *("0ebc5d34", "ca854ea1", "d37ee418")
    ]
    assert [one.hex()[:8] for one in tree.consistency(2, 5)] == ["5f083f0a", "bc1a0643"]


@given(st.integers(2, 300), st.data())
def test_a_proof_that_is_touched_anywhere_proves_nothing(
    size: int, data: st.DataObject
) -> None:
    tree = stored(size)
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index)
    place = data.draw(st.integers(0, len(proof) - 1))
    touched = [*proof[:place], bytes(32), *proof[place + 1 :]]
    claims: dict[str, Any] = {
        **{"index": index, "size": size, "leaf": leaf(index), "root": tree.root()}
    }

    assert includes(**claims, proof=proof)
    assert not includes(**claims, proof=touched)
    assert not includes(**claims, proof=proof[:-1])
    assert not includes(**claims, proof=[*proof, bytes(32)])
    assert not includes(**claims | {"leaf": bytes(32)}, proof=proof)
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index))
    assert not includes(**claims | {"index": other}, proof=proof)
    assert not includes(**claims | {"index": size}, proof=proof)


@given(st.integers(2, 300), st.data())
def test_a_rewritten_past_has_no_consistency_proof(
    size: int, data: st.DataObject
) -> None:
    tree = stored(size)
    first = data.draw(st.integers(1, size - 1))
    proof = tree.consistency(first)
    claims: dict[str, Any] = {
        "first": first,
        "second": size,
        "first_root": tree.root(first),
        "second_root": tree.root(),
    }

    assert extends(**claims, proof=proof)
    assert not extends(**claims, proof=proof[:-1])
    assert not extends(**claims, proof=[*proof, bytes(32)])
    assert not extends(**claims | {"first_root": bytes(32)}, proof=proof)
    assert not extends(**claims | {"second_root": bytes(32)}, proof=proof)
    place = data.draw(st.integers(0, len(proof) - 1))
    touched = [*proof[:place], bytes(32), *proof[place + 1 :]]
    assert not extends(**claims, proof=touched)


def test_the_empty_tree_and_one_leaf() -> None:
    one = Growing()

    assert one.root == EMPTY_ROOT == reference().get_root(0)
    assert one.append([leaf(0)]) == []
    assert one.root == leaf(0)
    assert includes(index=0, size=1, leaf=leaf(0), proof=[], root=leaf(0))
    assert not extends(first=0, second=1, first_root=b"", second_root=b"", proof=[])


def test_each_eighth_level_is_given_to_be_stored() -> None:
    made = Growing().append(map(leaf, range(TILE_WIDTH * TILE_WIDTH)))

    assert len(made) == TILE_WIDTH + 1
    assert isinstance(made[-1], Node)
    assert (made[-1].level, made[-1].index) == (2, 0)


def test_a_proof_reads_few_tiles_of_a_large_tree() -> None:
    reads: list[tuple[int, int, int]] = []

    def read(level: int, first: int, count: int) -> list[bytes]:
        reads.append((level, first, count))
        return [bytes(32)] * count

    Stored(read, 10_000_000).inclusion(1_234_567)
    assert len(reads) <= 6
    assert sum(count for _, _, count in reads) <= 6 * TILE_WIDTH


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 4)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        stored(3).inclusion(index, size)
    with pytest.raises(ValueError, match="no proof"):
        stored(3).consistency(0)
