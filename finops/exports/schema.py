"""Rules of FOCUS 1.4 that a row can be held against by itself (docs/focus.md)."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

from finops.exports import focus14
from finops.exports.words import EXACT

_NUMBER = re.compile(r"-?\d+(\.\d+)?(E-?\d+)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)

_NUMBERS = frozenset(
    [
        "BilledCost",
        "ConsumedQuantity",
        "ContractedCost",
        "ContractedUnitPrice",
        "EffectiveCost",
        "ListCost",
        "ListUnitPrice",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyEffectiveCost",
        "PricingCurrencyListUnitPrice",
        "PricingQuantity",
        "x_SplitOriginCost",
    ]
)
_PRICES = ("ContractedUnitPrice", "ListUnitPrice")
_NOT_NEGATIVE = frozenset(
    name for price in _PRICES for name in (price, f"PricingCurrency{price}")
)
_MOMENTS = frozenset(
    [
        "BillingPeriodCreated",
        "BillingPeriodEnd",
        "BillingPeriodLastUpdated",
        "BillingPeriodStart",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "InvoiceDetailCreated",
        "InvoiceDetailLastUpdated",
        "InvoiceIssueDate",
        "PaymentDueDate",
    ]
)
_JSON = frozenset(
    [
        "AllocatedMethodDetails",
        "AllocatedTags",
        "InvoiceDetailGrain",
        "SkuPriceDetails",
        "Tags",
    ]
)
_NULLABLE = frozenset(
    [
        "AllocatedMethodDetails",
        "AllocatedMethodId",
        "AllocatedResourceId",
        "AllocatedResourceName",
        "AllocatedTags",
        "BillingAccountName",
        "ChargeClass",
        "ChargeDescription",
        "ConsumedQuantity",
        "ConsumedUnit",
        "ContractedUnitPrice",
        "HostProviderName",
        "InvoiceDetailDescription",
        "InvoiceDetailGrain",
        "InvoiceIssueDate",
        "ListUnitPrice",
        "PaymentDueDate",
        "PricingCurrencyContractedUnitPrice",
        "PricingCurrencyListUnitPrice",
        "PricingQuantity",
        "PricingUnit",
        "SkuId",
        "SkuMeter",
        "SkuPriceDetails",
        "SkuPriceId",
        "SubAccountId",
        "SubAccountName",
        "Tags",
    ]
)
_NULLABLE_IN_USAGE = frozenset({"InvoiceDetailId", "InvoiceId"})
_ALLOWED = {
    "BillingPeriodStatus": {"Open", "Closed"},
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "InvoiceIssueStatus": {"Open", "Issued", "Voided"},
    "ServiceCategory": {
        "AI and Machine Learning",
        "Compute",
        "Integration",
        "Management and Governance",
    },
}
_PARENT = {
    "AI Platforms": "AI and Machine Learning",
    "API Management": "Integration",
    "Cost Management": "Management and Governance",
    "Generative AI": "AI and Machine Learning",
    "Other (Management and Governance)": "Management and Governance",
    "Serverless Compute": "Compute",
}
_NEED_PRICE = (
    "ListUnitPrice",
    "ContractedUnitPrice",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "ConsumedQuantity",
    "SkuPriceDetails",
)
_CURRENCIES = ("BillingCurrency", "PricingCurrency")
_UNITS = (("PricingQuantity", "PricingUnit"), ("ConsumedQuantity", "ConsumedUnit"))
_ALLOCATED = ("AllocatedMethodId", "AllocatedResourceId", "AllocatedMethodDetails")

Row = Mapping[str, str]


def faults_of_usage(row: Row) -> list[str]:
    """What is wrong with a row of Cost and Usage."""
    return [
        *_faults(row, focus14.COST_AND_USAGE, _NULLABLE | _NULLABLE_IN_USAGE),
        *(fault for rule in _RULES for fault in rule(row)),
    ]


def faults_of_detail(row: Row) -> list[str]:
    """What is wrong with a row of Invoice Detail."""
    return list(_faults(row, focus14.INVOICE_DETAIL, _NULLABLE))


def faults_of_period(row: Row) -> list[str]:
    """What is wrong with a row of Billing Period."""
    return list(_faults(row, focus14.BILLING_PERIOD, _NULLABLE))


def _faults(
    row: Row, columns: tuple[str, ...], nullable: frozenset[str]
) -> Iterator[str]:
    if tuple(row) != columns:
        yield "the columns are others, or in another order"
        return
    for column, value in row.items():
        if value:
            yield from (
                f"{column} {fault}: {value!r}" for fault in _form(column, value)
            )
        elif not column.startswith("x_") and column not in nullable:
            yield f"{column} is empty"


def _form(column: str, value: str) -> Iterator[str]:
    if column in _NUMBERS:
        if not _NUMBER.fullmatch(value):
            yield "is no number"
        elif column in _NOT_NEGATIVE and Decimal(value) < 0:
            yield "is negative"
    if column in _MOMENTS and not _is_moment(value):
        yield "is no moment in UTC"
    if column in _CURRENCIES and not _CURRENCY.fullmatch(value):
        yield "is no currency"
    if column in _ALLOWED and value not in _ALLOWED[column]:
        yield "is not allowed"
    if column in _JSON and not _is_object(value):
        yield "is no object of JSON"
    if column.endswith("Unit") and (value != value.strip() or _NUMBER.fullmatch(value)):
        yield "is no unit"


def _is_moment(value: str) -> bool:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return bool(_MOMENT.fullmatch(value))


def _is_object(value: str) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _quantities(row: Row) -> Iterator[str]:
    for quantity, unit in _UNITS:
        if bool(row[quantity]) != bool(row[unit]):
            yield f"{quantity} and {unit} go together"
    if row["ConsumedQuantity"] and row["ChargeCategory"] != "Usage":
        yield "ConsumedQuantity is for usage alone"


def _prices(row: Row) -> Iterator[str]:
    if not row["SkuPriceId"]:
        yield from (f"{name} without a price" for name in _NEED_PRICE if row[name])
    elif not (row["ListUnitPrice"] and row["ContractedUnitPrice"] and row["SkuId"]):
        yield "a price needs its SKU and unit prices"
    charged = row["ChargeCategory"] in ("Usage", "Purchase")
    if charged and not row["ChargeClass"] and not row["SkuPriceId"]:
        yield "usage and purchases have a price"


def _costs(row: Row) -> Iterator[str]:
    if row["ChargeCategory"] in ("Tax", "Credit") and (
        row["BilledCost"] != row["EffectiveCost"]
    ):
        yield "EffectiveCost of a credit is BilledCost"
    for cost, price in (
        ("ListCost", "ListUnitPrice"),
        ("ContractedCost", "ContractedUnitPrice"),
    ):
        try:
            if row[price] and EXACT.multiply(
                Decimal(row[price]), Decimal(row["PricingQuantity"])
            ) != Decimal(row[cost]):
                yield f"{cost} is not price times quantity"
        except InvalidOperation:
            yield f"{cost} cannot be worked out"


def _pricing(row: Row) -> Iterator[str]:
    for name in (*_PRICES, "EffectiveCost"):
        other = row[f"PricingCurrency{name}"]
        if bool(other) != bool(row[name]):
            yield f"{name} is in both currencies or in none"
        elif row["PricingCurrency"] == row["BillingCurrency"] and other != row[name]:
            yield f"{name} is the same in one currency"


def _service(row: Row) -> Iterator[str]:
    if _PARENT.get(row["ServiceSubcategory"]) != row["ServiceCategory"]:
        yield "ServiceSubcategory is of another category"
    if row["ChargeCategory"] == "Purchase" and row["ChargeFrequency"] == "Usage-Based":
        yield "a purchase is not usage-based"


def _whole(row: Row) -> Iterator[str]:
    if len({bool(row[name]) for name in _ALLOCATED}) > 1:
        yield "an allocation needs its method, receiver and ratio"
    if bool(row["InvoiceId"]) != bool(row["InvoiceDetailId"]):
        yield "InvoiceId and InvoiceDetailId go together"
    if bool(row["SubAccountId"]) != bool(row["SubAccountName"]):
        yield "SubAccountId and SubAccountName go together"
    if not row["ChargePeriodStart"] < row["ChargePeriodEnd"]:
        yield "the charge period ends before it starts"
    if (
        row["ChargePeriodStart"] < row["BillingPeriodStart"]
        and row["ChargeClass"] != "Correction"
    ):
        yield "a charge of a month before is a correction"
    if row["ChargePeriodEnd"] > row["BillingPeriodEnd"]:
        yield "the charge is of a month to come"


_RULES: tuple[Callable[[Row], Iterator[str]], ...] = (
    _quantities,
    _prices,
    _costs,
    _pricing,
    _service,
    _whole,
)
