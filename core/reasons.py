"""The reason that a person gives for an act."""

from core.errors import Invalid

LONGEST = 400


def reason_given(text: str) -> str:
    """The reason as it is kept. Raises Invalid where there is none."""
    if not text.strip() or "\x00" in text:
        raise Invalid("Give a reason: it is what an auditor will read.")
    return text.strip()[:LONGEST]
