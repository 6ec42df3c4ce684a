"""The demo company is large, the same every time, and consistent."""

from deploy.demo import data


def test_the_company_is_the_same_every_time() -> None:
    first = data.company()
    data.company.cache_clear()
    assert data.company() == first


def test_sizes_and_references() -> None:
    company = data.company()
    assert len(company.orders) == 10_000
    assert len(company.customers) == 2_000
    assert len(company.tickets) == 1_500
    assert len(company.usage) == 20_000
    assert len(company.invoices) > 9_000
    assert {o["customer_id"] for o in company.orders.values()} <= set(company.customers)
    assert {i["order_id"] for i in company.invoices.values()} <= set(company.orders)
    days = [order["placed_on"] for order in company.orders.values()]
    assert days == sorted(days)
    assert days[0] >= "2026-01-01"
    assert days[-1] <= data.today().isoformat()
