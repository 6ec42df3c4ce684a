"""The playground: whose key, what is checked before, what is queued."""

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import Event
from core.clock import now
from gateway.catalog import forget
from gateway.models import Run, Server
from policy.models import ApiKey
from policy.services.keys import revoke_key
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import (
    ACTOR,
    Cast,
    make_account,
    make_environment,
    make_key,
)
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse

HTMX = {"HX-Request": "true"}
GOOD = 'from tools import crm\nreturn crm.list_orders(since="2026-11-01")\n'


@pytest.fixture
def crm(cast: Cast) -> Server:
    """A server that sales may call in dev."""
    server = make_server()
    make_tool(server, environments=[make_environment("dev")])
    make_tool(server, name="hidden", description="Not in dev.")
    make_grant(cast.team, server)
    forget()
    return server


@pytest.fixture
def key(cast: Cast) -> ApiKey:
    """A key of sales in dev."""
    return make_key(make_account(cast.team)).key


def play(client: Client, key: ApiKey, code: str, **headers: str) -> tuple[int, str]:
    response = client.post(
        reverse("playground"), {"key": str(key.pk), "code": code}, headers=headers
    )
    return response.status_code, response.content.decode()


def test_it_offers_the_keys_one_may_run_as_and_their_tools(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    others = make_key(make_account(cast.other_team, "spy"), name="theirs").key
    reader = make_key(make_account(cast.team, "reader"), scopes=["runs:read"]).key
    html = browse(cast.member).get(reverse("playground")).content.decode()
    assert f'<option value="{key.pk}" selected>' in html
    assert f'value="{others.pk}"' not in html
    assert f'value="{reader.pk}"' not in html
    assert "crm.list_orders" in html
    assert "crm.hidden" not in html


def test_who_has_no_key_is_told_how_to_get_one(cast: Cast, browse: Browse) -> None:
    html = browse(cast.member).get(reverse("playground")).content.decode()
    assert "No key to run as" in html
    assert reverse("keys") in html


def test_tools_are_searched_in_place(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    client, url = browse(cast.member), reverse("playground_tools")
    found = client.get(f"{url}?key={key.pk}&q=orders", headers=HTMX).content
    missed = client.get(f"{url}?key={key.pk}&q=zebra", headers=HTMX).content
    assert b"crm.list_orders" in found
    assert b"<html" not in found
    assert b"No tool matches" in missed


def test_a_good_script_is_queued_as_the_key_and_names_the_person(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    status, _ = play(browse(cast.member), key, GOOD)
    run = Run.objects.get()
    assert status == 302
    assert (run.principal, run.environment, run.key) == (
        "sa:sales/agent",
        "dev",
        key.prefix,
    )
    assert run.code == GOOD
    event = Event.objects.get(name="run.submitted")
    assert event.actor_id == "user:alice"
    assert '"principal":"sa:sales/agent"' in event.body


def test_typescript_is_chosen_checked_and_shown_again(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    client, url = browse(cast.member), reverse("playground")
    form = {"key": key.pk, "language": "typescript"}
    wrong = client.post(url, form | {"code": "return tools.crm.nothing()"})
    assert wrong.status_code == 422
    assert b"unknown_tool" in wrong.content
    assert not Run.objects.exists()
    code = "return await tools.crm.listOrders({since: '2026-04-01'})"
    assert client.post(url, form | {"code": code}).status_code == 302
    run = Run.objects.get()
    assert (run.language, run.code) == ("typescript", code)
    html = client.get(f"{url}?run={run.uid}").content.decode()
    assert '<option value="typescript" selected>' in html


def test_with_htmx_the_outcome_alone_comes_back_and_asks_again(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    client = browse(cast.member)
    status, html = play(client, key, GOOD, **HTMX)
    run = Run.objects.get()
    outcome = reverse("playground_outcome", args=[run.uid])
    assert status == 200
    assert f'hx-get="{outcome}"' in html
    assert "<html" not in html
    Run.objects.filter(pk=run.pk).update(
        status="succeeded", started_at=now(), finished_at=now()
    )
    ended = client.get(outcome, headers=HTMX).content.decode()
    assert "hx-get" not in ended
    assert "&quot;status&quot;" in ended
    assert reverse("run", args=[run.uid]) in ended


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("from tools import crm\nx = crm.list_order(since='a')\n", 2, "list_orders"),
        ("from tools import crm\n\nreturn crm.list_orders(sine='a')\n", 3, "since"),
        ("return (1\n", 1, "never closed"),
    ],
)
def test_faults_are_shown_at_their_line_and_nothing_runs(
    cast: Cast,
    crm: Server,
    key: ApiKey,
    browse: Browse,
    code: str,
    line: int,
    words: str,
) -> None:
    status, html = play(browse(cast.member), key, code)
    assert status == 422
    assert f'<span class="tg-line tg-line-marked" id="L{line}">' in html
    assert words in html
    assert "Nothing ran" in html
    assert not Run.objects.exists()
    assert not Event.objects.filter(name="run.submitted").exists()


@pytest.mark.parametrize("code", ["", "   \n", "# nothing\n"])
def test_an_empty_script_says_so(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse, code: str
) -> None:
    status, html = play(browse(cast.member), key, code)
    assert status == 422
    assert 'role="alert"' in html
    assert not Run.objects.exists()


def test_a_key_that_is_not_ones_own_or_revoked_is_refused(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    client = browse(cast.member)
    others = make_key(make_account(cast.other_team)).key
    assert play(client, others, GOOD)[0] == 404
    revoke_key(key_id=key.pk, reason="lost", actor=ACTOR, at=now())
    assert play(client, key, GOOD)[0] == 404
    assert not Run.objects.exists()


def test_auditors_and_finance_do_not_run_scripts(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    for user in (cast.auditor, cast.finance):
        assert browse(user).get(reverse("playground")).status_code == 403
        assert play(browse(user), key, GOOD)[0] == 403
    assert not Run.objects.exists()


def test_a_run_is_opened_again_with_its_script(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    other = make_key(make_account(cast.team), name="older").key
    run = make_run(team="sales", code="return 'kept'", at=now(), key_id_at=other.pk)
    make_call(run)
    client = browse(cast.member)
    html = client.get(reverse("playground") + f"?run={run.uid}").content.decode()
    assert "return &#x27;kept&#x27;</textarea>" in html
    assert f'<option value="{other.pk}" selected>' in html
    assert f'href="/runs/{run.uid}/#step-1"' in html
    theirs = make_run(team="support", at=now())
    assert client.get(f"/playground/?run={theirs.uid}").status_code == 404
    assert client.get(f"/playground/{theirs.uid}/outcome/").status_code == 404


def test_examples_and_signatures_come_in_the_language_chosen(
    cast: Cast, crm: Server, key: ApiKey, browse: Browse
) -> None:
    client, url = browse(cast.member), reverse("playground")
    html = client.get(f"{url}?snippet=errors&language=typescript").content.decode()
    area = html.partition("<textarea")[2].partition("</textarea>")[0]
    assert "await tools.crm.getCustomer" in area
    assert '<option value="typescript" selected>' in html
    assert "snippet=join&amp;language=typescript" in html
    assert 'data-typescript="await tools.crm.listOrders({ since: })"' in html
    assert '<div data-language="python" hidden>' in html
    for language in ("python", "cobol"):
        html = client.get(f"{url}?snippet=errors&language={language}").content.decode()
        assert "from tools import ToolError, crm" in html
        assert '<div data-language="typescript" hidden>' in html
