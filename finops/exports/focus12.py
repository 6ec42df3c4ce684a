"""FOCUS 1.2: Cost and Usage, the row of 1.4 in the columns of then."""

import unicodedata

from finops.exports import focus14
from finops.exports.charges import Charge, Month

_LATER = frozenset(
    {
        "AllocatedMethodDetails",
        "AllocatedMethodId",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "HostProviderName",
        "InvoiceDetailId",
        "ServiceProviderName",
    }
)
# What 1.2 has no column for goes on under a name of our own.
_RENAMED = {
    "AllocatedMethodDetails": "x_AllocatedMethodDetails",
    "AllocatedMethodId": "x_AllocatedMethodId",
    "AllocatedResourceId": "x_AllocatedResourceId",
    "AllocatedResourceName": "x_AllocatedResourceName",
    "InvoiceDetailId": "x_InvoiceDetailId",
}
COST_AND_USAGE: tuple[str, ...] = (
    *sorted(
        {
            *(name for name in focus14.COST_AND_USAGE if name not in _LATER),
            "ProviderName",
            "PublisherName",
            *_RENAMED.values(),
        }
    ),
)


def cost_and_usage(month: Month, charge: Charge) -> focus14.Row:
    """The row of a charge."""
    row = focus14.cost_and_usage(month, charge)
    row["ProviderName"] = row["ServiceProviderName"]
    row["PublisherName"] = row["HostProviderName"] or row["ServiceProviderName"]
    for later, ours in _RENAMED.items():
        row[ours] = row[later]
    return {name: _plain(name, row[name]) for name in COST_AND_USAGE}


def _plain(column: str, text: str) -> str:
    """ASCII alone (StringHandling); JSON and columns of our own stay as they are.

    Ids stay different from each other; words lose accents and other scripts.
    """
    if text.isascii() or column == "Tags" or column.startswith("x_"):
        return text
    if column.endswith("Id"):
        return text.encode("ascii", "backslashreplace").decode()
    parts = unicodedata.normalize("NFKD", text)
    kept = "".join(one for one in parts if not unicodedata.combining(one))
    return kept.encode("ascii", "replace").decode()
