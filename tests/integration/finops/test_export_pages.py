"""The page of a month's exports, its downloads, and the REST endpoint."""

import io
import json
import zipfile
from collections.abc import Iterable
from typing import cast

import pytest
from django.http import StreamingHttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audit.models import Event
from finops.exports.bundle import MANIFEST
from finops.services import billing
from finops.services.chargeback_exports import FORMS
from policy.models import User
from tests.builders.chargeback import AFTER_OCTOBER, IN_OCTOBER, make_built, make_closed
from tests.builders.finops import make_usage
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db
PAGE = "/chargeback/2026-10/export/"


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def body(response: object) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(cast(Iterable[bytes], response.streaming_content))
    return cast(bytes, response.content)  # type: ignore[attr-defined]


def test_the_page_offers_every_form_and_each_is_a_file(cast: Cast) -> None:
    make_usage(cost="1.005", at=IN_OCTOBER)
    make_closed()
    auditor = as_user(cast.auditor)

    page = auditor.get(PAGE).content.decode()

    assert "1 statement, 1.01 USD in all" in page
    assert "these are drafts" not in page
    for form in FORMS:
        assert f'href="{PAGE}{form}/"' in page
        response = auditor.get(f"{PAGE}{form}/")
        assert response.status_code == 200
        assert "2026-10" in response["Content-Disposition"]
        assert len(body(response)) > 100
    assert Event.objects.filter(name="chargeback.exported").count() == len(FORMS)


def test_drafts_and_usage_without_a_price_are_told(cast: Cast) -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_usage(cost=None, at=IN_OCTOBER)
    make_built()

    page = as_user(cast.finance).get(PAGE).content.decode()

    assert "2026-10 is open: these are drafts" in page
    assert "1 quantity has no price and is in no file" in page


def test_months_that_are_not_there_or_not_built(cast: Cast) -> None:
    finance = as_user(cast.finance)
    assert finance.get("/chargeback/1999-01/export/").status_code == 404
    assert finance.get("/chargeback/october/export/").status_code == 422
    make_usage(cost="1", at=IN_OCTOBER)
    billing.ensure_periods(at=AFTER_OCTOBER)
    assert finance.get(PAGE).status_code == 200
    assert finance.get(f"{PAGE}focus/").status_code == 422
    make_built()
    assert finance.get(f"{PAGE}doc/").status_code == 422
    assert finance.get(f"{PAGE}focus/").status_code == 200


def test_a_member_is_refused_on_record(cast: Cast) -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_built()
    member = as_user(cast.member)

    for path in (PAGE, f"{PAGE}focus/", "/api/v1/chargeback/2026-10/export/focus/"):
        assert member.get(path).status_code == 403

    denied = Event.objects.filter(name="access.denied")
    assert denied.count() == 3
    assert (
        "the costs of every team" in json.loads(denied.latest("id").body)["reasons"][0]
    )
    assert not Event.objects.filter(name="chargeback.exported").exists()


def test_the_endpoint_gives_the_same_file(cast: Cast) -> None:
    make_usage(cost="1", at=IN_OCTOBER)
    make_closed()
    finance = as_user(cast.finance)

    response = finance.get("/api/v1/chargeback/2026-10/export/focus/")

    assert response["Content-Type"] == "application/zip"
    found = body(response)
    assert found == body(finance.get(f"{PAGE}focus/"))
    with zipfile.ZipFile(io.BytesIO(found)) as whole:
        assert json.loads(whole.read(MANIFEST))["format"] == "FOCUS 1.4"
    unknown = finance.get("/api/v1/chargeback/2026-10/export/doc/")
    assert unknown.status_code == 422


@pytest.mark.parametrize("teams", [3, 30])
def test_the_page_costs_the_same_for_many_statements(
    cast: Cast, teams: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(teams):
        make_usage(cost="1", at=IN_OCTOBER, team=f"team-{number}")
    make_built()
    client = as_user(cast.finance)
    client.get(PAGE)

    with django_assert_num_queries(6):
        client.get(PAGE)
