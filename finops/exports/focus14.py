"""FOCUS 1.4: Cost and Usage, Billing Period, Invoice Detail (docs/focus.md)."""

import json
from collections.abc import Iterable, Iterator

from finops.exports.charges import Category, Charge, Month, described, invoice
from finops.exports.invoices import Detail, detail_id
from finops.exports.skus import (
    BILLING,
    FIXED_UNIT,
    Service,
    meter_of,
    service_of,
    units_of,
)
from finops.exports.words import EXACT, moment, number, pairs, words

Row = dict[str, str]

COST_AND_USAGE: tuple[str, ...] = (
    "AllocatedMethodDetails",
    "AllocatedMethodId",
    "AllocatedResourceId",
    "AllocatedResourceName",
    "AllocatedTags",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "HostProviderName",
    "InvoiceDetailId",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ServiceCategory",
    "ServiceName",
    "ServiceProviderName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "Tags",
    "x_Known",
    "x_Principal",
    "x_Rounding",
    "x_Showback",
    "x_SplitOriginCost",
    "x_SplitOriginId",
    "x_StatementId",
    "x_StatementLine",
)
BILLING_PERIOD = (
    "BillingPeriodCreated",
    "BillingPeriodEnd",
    "BillingPeriodLastUpdated",
    "BillingPeriodStart",
    "BillingPeriodStatus",
    "InvoiceIssuerName",
)
INVOICE_DETAIL = (
    "BilledCost",
    "BillingAccountId",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "InvoiceDetailCreated",
    "InvoiceDetailDescription",
    "InvoiceDetailGrain",
    "InvoiceDetailId",
    "InvoiceDetailLastUpdated",
    "InvoiceId",
    "InvoiceIssueDate",
    "InvoiceIssueStatus",
    "InvoiceIssuerName",
    "PaymentDueDate",
    "PaymentTerms",
    "ReferenceInvoiceId",
    "x_StatementLine",
)
_TERMS = "Internal chargeback: booked, not paid"


def cost_and_usage(month: Month, charge: Charge) -> Row:
    """The row of a charge."""
    document, line = charge.document, charge.line
    service = service_of(line.sku) if _has_sku(charge) else BILLING
    row = dict.fromkeys(COST_AND_USAGE, "")
    row |= _parties(month, service) | _invoice(charge)
    row |= _quantities(charge) | _pricing(month, charge) | _allocation(charge)
    return (
        row
        | {
            "BilledCost": number(charge.cost),
            "EffectiveCost": number(charge.cost),
            "ChargeCategory": charge.category,
            "ChargeClass": "Correction" if charge.corrects else "",
            "ChargeDescription": words(_described(charge)),
            "ChargeFrequency": _frequency(charge),
            "ChargePeriodStart": moment(charge.start),
            "ChargePeriodEnd": moment(charge.end),
            "ServiceCategory": service.category,
            "ServiceName": words(service.name),
            "ServiceSubcategory": service.subcategory,
            "x_Known": charge.known,
            "x_Principal": words(charge.principal),
            "x_Rounding": "true" if charge.is_rounding else "",
            "x_Showback": "" if document.charged else "true",
            "x_StatementId": document.uid,
            "x_StatementLine": str(line.number),
        }
        | _origin(month, charge)
    )


def billing_period(month: Month) -> Row:
    """The one row of the month's billing period."""
    return {
        "BillingPeriodCreated": moment(month.created),
        "BillingPeriodEnd": moment(month.end),
        "BillingPeriodLastUpdated": moment(month.updated),
        "BillingPeriodStart": moment(month.start),
        "BillingPeriodStatus": "Closed" if month.closed else "Open",
        "InvoiceIssuerName": words(month.organisation),
    }


def invoice_details(month: Month, details: Iterable[Detail]) -> Iterator[Row]:
    """Rows of the invoices: what each line holds, and its rounding; not of showback."""
    for detail in details:
        document, line = detail.document, detail.line
        if not document.charged:
            continue
        before = month.numbers.get((f"{line.charge_month:%Y-%m}", document.cost_centre))
        said = described(line)
        yield {
            "BilledCost": number(detail.cost),
            "BillingAccountId": words(month.organisation),
            "BillingCurrency": month.currency,
            "BillingPeriodEnd": moment(month.end),
            "BillingPeriodStart": moment(month.start),
            "ChargeCategory": detail.category,
            "InvoiceDetailCreated": moment(month.created),
            "InvoiceDetailDescription": words(
                f"Rounding: {said}" if detail.rounding else said
            ),
            "InvoiceDetailGrain": pairs({"x_CostCentre": document.cost_centre}),
            "InvoiceDetailId": detail.id,
            "InvoiceDetailLastUpdated": moment(month.updated),
            "InvoiceId": invoice(document),
            "InvoiceIssueDate": moment(document.issued_at),
            "InvoiceIssueStatus": "Issued" if document.issued_at else "Open",
            "InvoiceIssuerName": words(month.organisation),
            "PaymentDueDate": "",
            "PaymentTerms": _TERMS,
            "ReferenceInvoiceId": (before if detail.corrects else None)
            or invoice(document),
            "x_StatementLine": str(line.number),
        }


def _has_sku(charge: Charge) -> bool:
    return charge.category == Category.USAGE


def _frequency(charge: Charge) -> str:
    if not _has_sku(charge):
        return "One-Time"
    return "Recurring" if charge.line.unit == FIXED_UNIT else "Usage-Based"


def _described(charge: Charge) -> str:
    said = described(charge.line)
    return f"Rounding: {said}" if charge.rounding else said


def _invoice(charge: Charge) -> Row:
    if not charge.document.charged:
        return {}
    return {
        "InvoiceId": invoice(charge.document),
        "InvoiceDetailId": detail_id(charge),
    }


def _origin(month: Month, charge: Charge) -> Row:
    """Who caused it; an amount is that of the cost centre it is charged to."""
    origin = charge.line.origin
    centre = origin.cost_centre
    if not _has_sku(charge):
        centre = centre or charge.document.cost_centre
    tags = {
        "environment": origin.environment,
        "project": origin.project,
        "team": origin.team,
    }
    return {
        "SubAccountId": words(centre),
        "SubAccountName": words(month.names.get(centre) or centre),
        "Tags": pairs(tags),
    }


def _parties(month: Month, service: Service) -> Row:
    return {
        "BillingAccountId": words(month.organisation),
        "BillingAccountName": words(month.organisation),
        "BillingCurrency": month.currency,
        "BillingPeriodStart": moment(month.start),
        "BillingPeriodEnd": moment(month.end),
        "InvoiceIssuerName": words(month.organisation),
        "HostProviderName": words(service.provider),
        "ServiceProviderName": words(month.organisation),
    }


def _quantities(charge: Charge) -> Row:
    """Quantity and price: none for amounts, whose list cost is what is billed."""
    line = charge.line
    if charge.quantity is None or charge.price is None:
        cost = number(charge.cost)
        return {"ListCost": cost, "ContractedCost": cost}
    units = units_of(line.unit)
    quantity = EXACT.scaleb(charge.quantity, -units.power)
    price = EXACT.scaleb(charge.price, units.power)
    cost = number(EXACT.multiply(quantity, price))
    return {
        "ConsumedQuantity": number(charge.quantity),
        "ConsumedUnit": units.consumed,
        "ContractedCost": cost,
        "ContractedUnitPrice": number(price),
        "ListCost": cost,
        "ListUnitPrice": number(price),
        "PricingQuantity": number(quantity),
        "PricingUnit": units.priced,
        "SkuId": words(line.sku),
        "SkuMeter": meter_of(line.sku, charge.token_kind),
        "SkuPriceId": words(f"{line.sku}#{charge.price_id or 'amount'}"),
        "SkuPriceDetails": pairs(
            {"x_Model": charge.model, "x_TokenKind": charge.token_kind}
        ),
    }


def _pricing(month: Month, charge: Charge) -> Row:
    """Price and cost before they were converted, where they were."""
    other = charge.pricing
    price = other.price if other else charge.price
    unit = ""
    if charge.quantity is not None and price is not None:
        unit = number(EXACT.scaleb(price, units_of(charge.line.unit).power))
    return {
        "PricingCurrency": other.currency if other else month.currency,
        "PricingCurrencyContractedUnitPrice": unit,
        "PricingCurrencyEffectiveCost": number(other.cost if other else charge.cost),
        "PricingCurrencyListUnitPrice": unit,
    }


def _allocation(charge: Charge) -> Row:
    allocated, share = charge.line.allocated, charge.share
    if allocated is None or share is None:
        return {}
    receiver = charge.document.cost_centre
    # By hand: json would make the ratio a float and lose its last digits.
    details = (
        f'{{"Elements": [{{"AllocatedRatio": {number(allocated.ratio)}}}], '
        f'"x_Driver": {json.dumps(allocated.driver)}, '
        f'"x_Method": {json.dumps(allocated.method)}}}'
    )
    return {
        "AllocatedMethodDetails": details,
        "AllocatedMethodId": words(allocated.id),
        "AllocatedResourceId": words(receiver),
        "AllocatedResourceName": words(charge.document.cost_centre_name or receiver),
        "AllocatedTags": pairs({"cost_centre": receiver}),
        "x_SplitOriginCost": number(share.whole),
        "x_SplitOriginId": share.origin,
    }
