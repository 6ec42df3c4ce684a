"""What the tests of the endpoint have at hand: a stack, and keys of every kind."""

from dataclasses import dataclass

from tests.stack import Stack


@dataclass(frozen=True, slots=True)
class World:
    """The texts of the keys. Sales may call all servers, support only ``trivial``.

    Each call of ``crm.add_customer_tag`` needs an approval.
    """

    stack: Stack
    sales: str
    support: str
    read_only: str
    expired: str
    nothing: str


@dataclass(frozen=True, slots=True)
class People:
    """The texts of personal keys: two approvers of sales, a member, one of support."""

    approver: str
    second: str
    member: str
    outsider: str
