"""Short ids that people can read aloud and copy."""

import secrets

# Crockford base 32: no i, l, o or u, so that an id survives being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: str, *, characters: int = 14) -> str:
    """A random id such as ``run_7k3m9q2x4p1a8c`` (5 bits a character)."""
    # Each byte modulo 32 is an even choice, and one request for bytes serves them all.
    letters = (_ALPHABET[byte & 31] for byte in secrets.token_bytes(characters))
    return f"{kind}_" + "".join(letters)
