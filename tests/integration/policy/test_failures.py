"""How failures are shown: a page, JSON for programs, a part for htmx."""

import pytest
from django.http import HttpRequest
from django.test import Client, RequestFactory

from core import http
from core.errors import TollgateError, Unavailable
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db


def test_an_unknown_address_is_a_page_with_a_way_on(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    response = client.get("/no/such/page/")
    assert response.status_code == 404
    text = response.content.decode()
    assert "There is nothing at this address" in text
    assert "<title>Not found · Tollgate</title>" in text
    assert response["X-Request-ID"] in text


def test_programs_get_json(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    response = client.get(
        "/settings/teams/support/", headers={"Accept": "application/json"}
    )
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


def test_htmx_gets_a_part_and_caches_keep_both_apart(
    client: Client, cast: Cast
) -> None:
    client.force_login(cast.member)
    response = client.get("/settings/teams/support/", headers={"HX-Request": "true"})
    assert response.status_code == 404
    assert "<html" not in response.content.decode()
    assert "HX-Request" in response["Vary"]


def test_htmx_is_led_to_the_sign_in_page_as_a_whole(client: Client) -> None:
    response = client.get("/settings/teams/", headers={"HX-Request": "true"})
    assert response["HX-Redirect"] == "/sign-in/?next=/settings/teams/"
    assert not response.content


def _request(headers: dict[str, str] | None = None) -> HttpRequest:
    request = RequestFactory().get("/x/", headers=headers)
    request.request_id = "req_5"  # type: ignore[attr-defined]
    return request


def test_a_broken_page_says_the_request_and_depends_on_nothing() -> None:
    response = http.broken(_request())
    assert response.status_code == 500
    assert b"req_5" in response.content
    assert (
        http.broken(_request(headers={"Accept": "application/json"})).status_code == 500
    )


def test_an_error_keeps_its_status_and_details() -> None:
    error: TollgateError = Unavailable("No runner answers.", details={"queue": "runs"})
    response = http.answer(_request(headers={"Accept": "application/json"}), error)
    assert response.status_code == 503
    assert b'"queue": "runs"' in response.content


def test_every_page_has_the_strict_policy(client: Client, cast: Cast) -> None:
    client.force_login(cast.admin)
    policy = client.get("/settings/teams/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
