"""The page that explains a decision."""

import pytest
from django.test import Client

from audit.actor import Actor
from audit.services.record import DENY, record
from core.clock import now
from gateway.events import CALL_REFUSED, RUN_REFUSED
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import Cast, make_environment, make_key
from tests.builders.policy import make_version
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse, queries_of

BIG = {
    "id": "big-refunds",
    "mode": "enforce",
    "effect": "require_approval",
    "select": {"tools": ["shop.refund"]},
    "when": "args.amount > 500",
    "approve": {"role": "finance"},
}
OTHER = {"id": "other", "mode": "enforce", "effect": "deny",
         "select": {"teams": ["support"]}}  # fmt: skip


def ask(client: Client, amount: int, **more: str) -> str:
    sample = {
        "tool": "shop.refund",
        "team": "sales",
        "environment": "dev",
        "mode": "script",
        "key": "",
        "language": "python",
        "gvisor": "yes",
        "arguments": f'{{"amount": {amount}}}',
    }
    sent = {f"sample-{name}": value for name, value in (sample | more).items()}
    return client.post("/policy/explain/", sent).content.decode()


def test_the_outcome_and_every_rule_are_explained(cast: Cast, browse: Browse) -> None:
    server = make_server(name="shop")
    make_tool(server, name="refund", environments=[make_environment("dev")])
    make_version(BIG, OTHER)
    client = browse(cast.member)
    assert "none covers the tool" in ask(client, 700)
    make_grant(cast.team, server)
    page = ask(client, 700)
    assert "waits for an approval" in page
    assert "Who has to agree: finance" in page
    assert "select.teams: sales is not among support" in page
    page = ask(client, 7)
    assert "allowed" in page
    assert "its condition is false" in page
    assert "not offered there" in ask(client, 7, environment="prod")
    key = make_key(scopes=["tools:crm.*"]).key
    assert "none of the key covers" in ask(client, 7, key=key.prefix)
    assert "no key with this prefix" in ask(client, 7, key="tg_nothing")
    assert "No server offers" in ask(client, 7, tool="shop.none")


def test_an_address_names_a_recorded_call_and_holds_no_arguments(
    cast: Cast, browse: Browse
) -> None:
    server = make_server(name="shop")
    make_tool(server, name="refund", environments=[make_environment("dev")])
    run = make_run(team="sales")
    make_call(
        run,
        tool="shop.refund",
        arguments={"amount": 901},
        decision="deny",
        reasons=["grant: none covers the tool"],
    )
    client = browse(cast.member)
    address = f"/policy/explain/?run={run.uid}&step=1"
    page = client.get(address).content.decode()
    assert "&quot;amount&quot;: 901" in page
    assert "On record:" in page
    assert "grant: none covers the tool" in page
    assert 'id="outcome"' in page
    assert '<form method="post" action="/policy/explain/"' in page
    journal = client.get(f"/runs/{run.uid}/").content.decode()
    assert address.replace("&", "&amp;") in journal
    # Arguments in an address are not looked at.
    assert "901" not in client.get("/policy/explain/?sample-tool=901").content.decode()


@pytest.mark.parametrize("step", ["2", "x", "", "9" * 12])
def test_calls_that_one_may_not_see_are_not_found(
    cast: Cast, browse: Browse, step: str
) -> None:
    own, other = make_run(team="sales"), make_run(team="support")
    make_call(own)
    make_call(other)
    client = browse(cast.member)
    address = "/policy/explain/?run={}&step={}"
    assert client.get(address.format(own.uid, 1)).status_code == 200
    assert client.get(address.format(own.uid, step)).status_code == 404
    assert client.get(address.format(other.uid, 1)).status_code == 404


def test_a_refused_call_in_the_trail_leads_to_its_explanation(
    cast: Cast, browse: Browse
) -> None:
    run = make_run(team="sales")
    make_call(run, tool="crm.list_orders", decision="deny", reasons=["grant: none"])
    actor = Actor("service_account", "sa:sales/agent", "agent", team="sales")
    refused = record(
        CALL_REFUSED,
        actor=actor,
        at=now(),
        decision=DENY,
        reasons=["grant: none"],
        tool="crm.list_orders",
        run=run.uid,
        step=1,
    )
    other = record(RUN_REFUSED, actor=actor, at=now(), decision=DENY, run=run.uid)
    client = browse(cast.auditor)
    link = f'href="/policy/explain/?run={run.uid}&amp;step=1"'
    assert client.get("/audit/").content.decode().count(link) == 1
    assert link in client.get(f"/audit/{refused.uid}/").content.decode()
    page = client.get(f"/audit/{other.uid}/").content.decode()
    assert page.count(link) == 1, "only in the table of what belongs together"
    found = client.get(f"/policy/explain/?run={run.uid}&step=1").content.decode()
    assert "grant: none" in found
    # The tool is gone since: that is all there is to say.
    assert "No server offers a tool of this name now" in found
    assert "Rules considered" not in found


def test_the_page_costs_the_same_for_many_rules(cast: Cast, browse: Browse) -> None:
    make_tool(make_server(name="shop"), name="refund")
    run = make_run(team="sales")
    make_call(run, tool="shop.refund")
    client, address = browse(cast.member), f"/policy/explain/?run={run.uid}&step=1"
    make_version(BIG)
    few = queries_of(client, address)
    make_version(*({**BIG, "id": f"big-{number}"} for number in range(40)))
    assert queries_of(client, address) == few
    assert few < 25
