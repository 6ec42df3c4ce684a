"""Short ids that people can read aloud and copy."""

import secrets

# Crockford base 32: no i, l, o or u, so that an id survives being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(kind: str, *, characters: int = 14) -> str:
    """A random id such as ``run_7k3m9q2x4p1a8c`` (5 bits a character)."""
    return f"{kind}_" + "".join(secrets.choice(_ALPHABET) for _ in range(characters))
