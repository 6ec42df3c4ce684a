"""Merkle trees of RFC 9162, section 2.1: hashes, a growing tree, proofs.

Stored are the leaf hashes and each eighth level above them, as C2SP tlog-tiles does: a
tile is up to 256 hashes side by side, and the seven levels between are worked out from
it. A proof in a tree of ten million leaves so reads six tiles.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
EMPTY_ROOT = sha256(b"").digest()

Read = Callable[[int, int, int], Sequence[bytes]]
"""``read(level, first, count)``: hashes of stored level 0 (leaves), 1 (256), 2, …"""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf (RFC 9162, 2.1.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an interior node (RFC 9162, 2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Node:
    """A stored hash: of the ``index``-th 256 ** ``level`` leaves."""

    level: int
    index: int
    hash: bytes


@dataclass(slots=True)
class Growing:
    """A tree that grows leaf by leaf and holds no more than its right edge.

    ``edge`` holds the roots of its perfect subtrees, the largest first.
    """

    size: int = 0
    edge: list[bytes] = field(default_factory=list)

    def append(self, hashes: Iterable[bytes]) -> list[Node]:
        """Add leaves by their hashes; returns the nodes to store that this completes.

        It is the hot loop of sealing and verification.
        """
        edge, size, made = self.edge, self.size, []
        for one in hashes:
            size += 1
            height, rest, right = 0, size, one
            while not rest & 1:
                right = sha256(b"\x01" + edge.pop() + right).digest()
                height += 1
                rest >>= 1
                if not height & 7:
                    made.append(Node(height >> 3, rest - 1, right))
            edge.append(right)
        self.size = size
        return made

    @property
    def root(self) -> bytes:
        """The root of the leaves so far."""
        return _fold(self.edge)


def _fold(parts: Sequence[bytes]) -> bytes:
    """The root over perfect subtrees that stand side by side, the largest first."""
    if not parts:
        return EMPTY_ROOT
    root = parts[-1]
    for left in reversed(parts[:-1]):
        root = node_hash(left, root)
    return root


class Stored:
    """A tree whose hashes are read from where they are stored, each tile once."""

    def __init__(self, read: Read, size: int) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def growing(self, size: int | None = None) -> Growing:
        """The tree of the first ``size`` leaves, ready to grow."""
        upto = self.size if size is None else size
        return Growing(upto, [self._perfect(*part) for part in _parts(0, upto)])

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves."""
        return self.growing(size).root

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Proof that leaf ``index`` is among the first ``size`` (RFC 9162, 2.1.3.1).

        Raises ValueError when there is no such leaf.
        """
        upto = self.size if size is None else size
        if not 0 <= index < upto <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {upto}")
        return [self._range(*part) for part in _inclusion_ranges(index, upto)]

    def consistency(self, first: int, second: int | None = None) -> list[bytes]:
        """Proof that the second tree begins with the first (RFC 9162, 2.1.4.1).

        Raises ValueError when the sizes are not 0 < first <= second <= size.
        """
        upto = self.size if second is None else second
        if not 0 < first <= upto <= self.size:
            raise ValueError(f"no proof between trees of {first} and {upto}")
        return [self._range(*part) for part in _consistency_ranges(first, upto)]

    def _range(self, start: int, end: int) -> bytes:
        return _fold([self._perfect(*part) for part in _parts(start, end)])

    def _perfect(self, height: int, index: int) -> bytes:
        """The root of the ``index``-th 2 ** ``height`` leaves."""
        level, within = divmod(height, TILE_HEIGHT)
        width = 1 << within
        tile, first = divmod(index * width, TILE_WIDTH)
        hashes = self._tile(level, tile)[first : first + width]
        if len(hashes) != width:
            raise ValueError(f"stored hashes of level {level} end too early")
        return _fold_even(hashes)

    def _tile(self, level: int, index: int) -> Sequence[bytes]:
        if (level, index) not in self._tiles:
            first = index * TILE_WIDTH
            count = min(TILE_WIDTH, (self.size >> level * TILE_HEIGHT) - first)
            self._tiles[level, index] = self._read(level, first, count)
        return self._tiles[level, index]


def _fold_even(hashes: Sequence[bytes]) -> bytes:
    """The root over 2 ** n hashes of one level."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [node_hash(left, right) for left, right in pairs]
    return hashes[0]


def _parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The perfect subtrees (height, index) of [start, end), the largest first.

    ``start`` is a multiple of the smallest power of two not below the width, as all
    ranges of proofs are.
    """
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _split(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def _consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    start, end, found = 0, second, []
    while first < end:
        middle = start + _split(end - start)
        if first <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((start, middle))
            start = middle
    # The old tree's own root is what the verifier knows already.
    if start:
        found.append((start, end))
    return found[::-1]


def includes(
    *, index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether ``proof`` shows that ``leaf`` is at ``index`` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for one in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(one, found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, one)
        node >>= 1
        last >>= 1
    return last == 0 and found == root


def extends(
    *,
    first: int,
    second: int,
    first_root: bytes,
    second_root: bytes,
    proof: Sequence[bytes],
) -> bool:
    """Whether the second tree begins with the first (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second:
        return False
    if first == second:
        return not proof and first_root == second_root
    # A first tree that is perfect is a node of the second, and is left out.
    path = [first_root, *proof] if not first & (first - 1) else list(proof)
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(one, old), node_hash(one, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, one)
        node >>= 1
        last >>= 1
    return last == 0 and old == first_root and new == second_root
