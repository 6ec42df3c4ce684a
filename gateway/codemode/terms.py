"""Search terms: identifiers split, words stemmed, the same for tools and queries."""

import re
import unicodedata
from threading import Lock

import Stemmer

_WORD = re.compile(
    r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"  # HTTPServer2 -> HTTP Server 2
    r"|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"  # scripts without spaces
    r"|[^\W\d_A-Za-z]+"
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_MAX_WORDS = 2000
_CACHE_LIMIT = 200_000

# Words that say nothing about a tool: they may add to a score, but a tool that shares
# only these with the query is not a hit.
COMMON = frozenset(
    _WORD.findall(
        "a about all am an and any are as at be by can do for from get give has "
        "have how i in into is it its me my no not of on or our please show so "
        "some that the their them then there these this those to use using want "
        "was we what when where which who will with you your "
    )
)

_stemmer = Stemmer.Stemmer("english")
_stems: dict[str, str] = {}
_lock = Lock()


def _stem(word: str) -> str:
    known = _stems.get(word)
    if known is not None:
        return known
    # A Snowball stemmer keeps state: two threads in it at once corrupt each other.
    with _lock:
        stem: str = _stemmer.stemWord(word)
        if len(_stems) >= _CACHE_LIMIT:
            _stems.clear()
        _stems[word] = stem
    return stem


def _without_accents(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in parts if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare)


def words(text: str) -> list[str]:
    """Lower-case words of a text, identifiers split at case, digits and signs."""
    found: list[str] = []
    for match in _WORD.finditer(text if text.isascii() else _without_accents(text)):
        word = match.group()
        if _UNSPACED.match(word) and len(word) > 1:
            found.extend(word[i : i + 2] for i in range(len(word) - 1))
        else:
            found.append(word.lower())
        if len(found) >= _MAX_WORDS:
            break
    return found


def terms(text: str) -> list[str]:
    """Stemmed words, in order, repeats kept."""
    return [_stem(word) for word in words(text)]
