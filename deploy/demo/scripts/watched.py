"""What the agents try that the demo's rules hold or refuse."""

from dataclasses import dataclass

_REFUND = """\
from tools import shop

order = shop.list_orders(min_total=1500, limit=10)["orders"][{number}]
refund = shop.create_refund(order_id=order["id"], amount={amount}, reason={reason!r})
return {{"order": order["id"], "refunded": refund["amount"]}}
"""

_NOTE = """\
from tools import crm

customer = crm.list_customers(limit=1)["customers"][0]
crm.log_interaction(
    customer_id=customer["id"],
    kind="mail",
    summary="Wrote to their consultant, r.meyer@meyer-consulting.com, about renewal.",
)
"""

_NOT_GRANTED = """\
from tools import shop

return shop.create_refund(order_id="O-1", amount=20, reason="Asked for by mail")
"""


@dataclass(frozen=True, slots=True)
class WatchedScript:
    """A task that waits for finance or is refused.

    ``approve`` and ``because`` are what finance says; None leaves it waiting.
    """

    team: str
    task: str
    code: str
    status: str
    approve: bool | None = None
    because: str = ""


def _refund(
    number: int, amount: int, reason: str, approve: bool | None, because: str = ""
) -> WatchedScript:
    return WatchedScript(
        "platform",
        f"Refund {amount}: {reason}",
        _REFUND.format(number=number, amount=amount, reason=reason),
        "awaiting_approval",
        approve,
        because,
    )


WATCHED = (
    _refund(0, 640, "Two of five pallets arrived wet", True, "Photos are in T-2291."),
    _refund(1, 900, "Ordered twice", False, "The second order was used: ask again."),
    _refund(2, 720, "Delivered three weeks late", None),
    WatchedScript("platform", "Note who we wrote to.", _NOTE, "failed"),
    WatchedScript("support", "Refund what was asked for.", _NOT_GRANTED, "failed"),
)
