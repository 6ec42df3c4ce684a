"""The page that explains a decision."""

from urllib.parse import urlencode

from django.test import Client

from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import Cast, make_environment, make_key
from tests.builders.policy import make_version
from tests.builders.runs import make_call, make_run
from tests.integration.gateway.pages.conftest import Browse

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
        "arguments": f'{{"amount": {amount}}}',
    }
    query = {f"sample-{name}": value for name, value in (sample | more).items()}
    return client.get(f"/policy/explain/?{urlencode(query)}").content.decode()


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


def test_a_past_call_fills_the_form(cast: Cast, browse: Browse) -> None:
    run = make_run(team="sales")
    call = make_call(run, tool="shop.refund", arguments={"amount": 901})
    client = browse(cast.member)
    page = client.get(f"/policy/explain/?call={call.pk}").content.decode()
    assert "&quot;amount&quot;: 901" in page
    other = make_call(make_run(team="support"), arguments={"amount": 902})
    hidden = client.get(f"/policy/explain/?call={other.pk}").content.decode()
    assert "902" not in hidden
    journal = client.get(f"/runs/{run.uid}/").content.decode()
    assert f"/policy/explain/?call={call.pk}" in journal
