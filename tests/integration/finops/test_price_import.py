"""Prices are brought in whole, with the difference shown first."""

import csv
import io
import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from audit.actor import SYSTEM
from audit.models import Event
from core.errors import Invalid
from finops.models import Price
from finops.price_csv import parse
from finops.public_prices import published
from finops.services.prices import bring_in, current_book, digest_of, preview
from policy.models import User
from tests.builders.finops import AT, make_price
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db
TEXT = (
    "sku,unit,amount,valid_from\n"
    "tool/crm.*,Requests,0.002,2026-06-01\n"
    "tool/mail.*,Requests,0.5,2026-06-01\n"
)


def _client(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_public_prices_come_in_once_with_few_queries(
    django_assert_max_num_queries: object,
) -> None:
    lines = published(["deepseek", "anthropic"])
    with django_assert_max_num_queries(12):  # type: ignore[operator]
        found = bring_in(
            lines=lines, source="test", reason="Public prices", actor=SYSTEM, at=AT
        )
    assert len(found.added) == len(lines) == Price.objects.count()
    rate = current_book().rate(
        "model/deepseek/deepseek-chat/input", unit="Tokens", at=AT
    )
    assert rate is not None
    assert rate.daily_from is not None
    again = bring_in(
        lines=lines, source="test", reason="Public prices", actor=SYSTEM, at=AT
    )
    assert (again.added, again.same) == ((), len(lines))
    assert Event.objects.filter(name="prices.brought_in").count() == 1


def test_what_was_not_looked_at_is_not_brought_in() -> None:
    lines = parse(TEXT, currency="USD", zone="UTC")
    seen = digest_of(preview(lines))
    make_price("tool/crm.*", "0.001", unit="Requests")
    with pytest.raises(Invalid, match="has changed since"):
        bring_in(
            lines=lines,
            source="CSV",
            reason="Contract",
            actor=SYSTEM,
            at=AT,
            looked_at=seen,
        )
    assert Price.objects.count() == 1
    assert not Event.objects.filter(name="prices.brought_in").exists()


def test_finance_sees_the_difference_and_then_changes_the_book(cast: Cast) -> None:
    make_price("tool/crm.*", "0.001", unit="Requests")
    client = _client(cast.finance)
    shown = client.post("/costs/prices/import/", {"text": TEXT})
    assert shown.status_code == 200
    page = shown.content.decode()
    assert "2 prices to change" in page
    assert "1,000.00 USD" in page
    assert "2,000.00 USD" in page
    assert Price.objects.count() == 1
    digest = shown.context["form"].initial["digest"]
    values = {"text": TEXT, "digest": digest, "reason": "Contract 117"}
    assert client.post("/costs/prices/import/", values).status_code == 302
    known = Price.objects.filter(known_to=None).order_by("sku", "valid_from")
    assert [row.amount for row in known] == [
        Decimal("0.001"),
        Decimal("0.002"),
        Decimal("0.5"),
    ]
    event = Event.objects.get(name="prices.brought_in")
    assert event.actor_id == f"user:{cast.finance.username}"
    assert json.loads(event.body)["payload"]["reason"] == "Contract 117"
    # The same plan again was made of another book.
    assert client.post("/costs/prices/import/", values).status_code == 422


def test_mistakes_are_shown_and_nothing_is_brought_in(cast: Cast) -> None:
    client = _client(cast.finance)
    fresh = client.get("/costs/prices/import/").content.decode()
    assert "Give a file" not in fresh
    wrong = f"{TEXT}tool/x,Requests,much,2026-06-01\ntool,Requests,1,2026-06-01\n"
    answer = client.post("/costs/prices/import/", {"text": wrong, "digest": "x"})
    assert answer.status_code == 422
    assert "Line 4: the amount &#x27;much&#x27; is no number" in answer.content.decode()
    assert "Line 5" in answer.content.decode()
    assert client.post("/costs/prices/import/", {}).status_code == 422
    assert not Price.objects.exists()


def test_a_reason_is_needed_to_change_the_book(cast: Cast) -> None:
    client = _client(cast.finance)
    shown = client.post("/costs/prices/import/", {"text": TEXT})
    digest = shown.context["form"].initial["digest"]
    answer = client.post("/costs/prices/import/", {"text": TEXT, "digest": digest})
    assert answer.status_code == 422
    assert "Give a reason" in answer.content.decode()
    assert not Price.objects.exists()


def test_the_book_goes_out_as_it_comes_in(cast: Cast, tmp_path: Path) -> None:
    bring_in(
        lines=published(["deepseek"]),
        source="test",
        reason="Public prices",
        actor=SYSTEM,
        at=AT,
    )
    response = _client(cast.auditor).get("/costs/prices/export/")
    text = b"".join(response).decode()
    assert len(list(csv.DictReader(io.StringIO(text)))) == Price.objects.count()
    assert Event.objects.filter(name="prices.exported").count() == 1
    found = preview(parse(text, currency="USD", zone="UTC"))
    assert (found.added, found.same) == ((), Price.objects.count())
    file = tmp_path / "book.csv"
    file.write_text(TEXT)
    said = StringIO()
    call_command("prices", "import", str(file), stdout=said)
    assert "2 to change" in said.getvalue()
    assert not Price.objects.filter(sku="tool/crm.*").exists()
    call_command("prices", "import", str(file), apply=True, reason="Deal", stdout=said)
    assert Price.objects.filter(sku="tool/crm.*").count() == 1
    file.write_text("sku,unit,amount,valid_from\nx,y,z,w\n")
    with pytest.raises(CommandError, match="Line 2"):
        call_command("prices", "import", str(file), stdout=said)
