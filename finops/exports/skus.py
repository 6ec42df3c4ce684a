"""What a SKU of the ledger is in FOCUS: service, units, meter."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Service:
    """A FOCUS service; each name has one category (ServiceName-C-005)."""

    name: str
    category: str
    subcategory: str
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Units:
    """What is consumed and what is priced: ten to the ``power`` of the former."""

    consumed: str
    priced: str
    power: int = 0


_AI = "AI and Machine Learning"
CONTEXT = Service("Gateway context", _AI, "AI Platforms")
SANDBOX = Service("Sandbox", "Compute", "Serverless Compute")
PLATFORM = Service(
    "Platform", "Management and Governance", "Other (Management and Governance)"
)
BILLING = Service("Chargeback", "Management and Governance", "Cost Management")

# The unit of what is charged by the month, used or not.
FIXED_UNIT = "Months"
_METERS = {
    "tokens": "Context tokens",
    "tool": "Tool calls",
    "sandbox/cpu": "CPU time",
    "sandbox/memory": "Memory time",
    "platform": "Fixed cost",
}


def service_of(sku: str) -> Service:
    """The service a SKU belongs to, whoever uses it."""
    area, _, rest = sku.partition("/")
    match area:
        case "model":
            provider = rest.partition("/")[0]
            return Service(f"Models ({provider})", _AI, "Generative AI", provider)
        case "tool":
            server = rest.partition(".")[0]
            return Service(f"Tools ({server})", "Integration", "API Management")
        case "sandbox":
            return SANDBOX
        case "tokens":
            return CONTEXT
        case _:
            return PLATFORM


def units_of(unit: str) -> Units:
    """Tokens are priced by the million, all else as it is counted."""
    if unit == "Tokens":
        return Units("Tokens", "1000000 Tokens", 6)
    return Units(unit, unit)


def meter_of(sku: str, token_kind: str) -> str:
    """What of the service is measured."""
    if token_kind:
        return f"Tokens, {token_kind.replace('_', ' ')}"
    area = sku.partition("/")[0]
    return _METERS.get(sku) or _METERS.get(area) or sku
