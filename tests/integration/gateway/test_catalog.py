"""Servers are added, synced and reviewed; what changes is a new version."""

from dataclasses import replace

import pytest

from audit.models import Event
from core.clock import now
from core.errors import Invalid
from gateway.catalog import usable_by
from gateway.connectors.api import Listing, UpstreamTool
from gateway.connectors.pool import UpstreamPool
from gateway.models import Server, Tag, Tool, ToolVersion
from gateway.services import access, catalog, runs, sync
from policy.holders import Holder
from policy.models import Membership, User
from policy.principal import Principal
from policy.services.keys import principal_of
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import (
    ACTOR,
    make_account,
    make_environment,
    make_key,
    make_team,
    make_user,
)
from tests.builders.runs import make_run
from tests.integration.gateway.conftest import add_trivial

pytestmark = pytest.mark.django_db


def test_a_synced_server_offers_tools_as_writes_until_reviewed(
    trivial_url: str, upstream: UpstreamPool
) -> None:
    server = add_trivial(trivial_url)
    assert server.status == "draft"
    report = sync.sync_server(
        server_id=server.pk, upstream=upstream, actor=ACTOR, at=now()
    )
    assert (report.added, report.error) == (10, "")
    server.refresh_from_db()
    assert (server.status, server.health) == ("active", "up")
    add = Tool.objects.get(server=server, name="add")
    assert (add.effect, add.effect_proposed) == ("write", "read")
    assert add.environments.count() == 0
    again = sync.sync_server(
        server_id=server.pk, upstream=upstream, actor=ACTOR, at=now()
    )
    assert (again.added, again.changed, again.unchanged) == (0, 0, 10)
    assert ToolVersion.objects.filter(tool__server=server).count() == 10


def test_a_dead_server_stays_a_draft_with_its_error(upstream: UpstreamPool) -> None:
    server = catalog.add_server(
        name="gone",
        transport="http",
        url="http://127.0.0.1:9/mcp",
        actor=ACTOR,
        at=now(),
    )
    report = sync.sync_server(
        server_id=server.pk, upstream=upstream, actor=ACTOR, at=now()
    )
    assert report.error
    server.refresh_from_db()
    assert (server.status, server.health) == ("draft", "down")
    assert server.last_error == report.error
    assert Event.objects.filter(name="server.sync_failed", target_id="gone").exists()


@pytest.mark.parametrize(
    ("name", "transport", "url", "command"),
    [
        ("two words", "http", "http://127.0.0.1:1/mcp", []),
        ("class-y", "http", "http://127.0.0.1:1/mcp", []),
        ("shop", "http", "ftp://127.0.0.1/mcp", []),
        ("shop", "http", "nonsense", []),
        ("shop", "http", "http://user:pass@127.0.0.1/mcp", []),
        ("shop", "stdio", "", []),
        ("shop", "pigeon", "", ["x"]),
    ],
)
def test_an_address_that_cannot_work_is_refused(
    name: str, transport: str, url: str, command: list[str]
) -> None:
    with pytest.raises(Invalid):
        catalog.add_server(
            name=name,
            transport=transport,
            url=url,
            command=command,
            actor=ACTOR,
            at=now(),
        )
    assert not Server.objects.exists()
    assert not Event.objects.filter(name="server.added").exists()


def _listing(description: str, *names: str) -> Listing:
    tools = tuple(
        UpstreamTool(
            name=name,
            title="",
            description=description,
            input_schema={"type": "object", "properties": {}},
            output_schema=None,
            annotations={"readOnlyHint": True},
            meta={},
        )
        for name in names
    )
    return Listing("s", "1", "2026-07-28", "", tools, ())


def test_a_changed_definition_is_a_new_version_that_counts_as_write(
    trivial: Server,
) -> None:
    add = Tool.objects.get(server=trivial, name="add")
    assert add.effect == "read"
    listing = _listing("Deletes everything.", "add")
    report = sync._apply(trivial.pk, listing, ACTOR, now())
    assert (report.changed, report.removed) == (1, 9)
    add.refresh_from_db()
    assert (add.effect, add.effect_confirmed_by) == ("write", "")
    assert [v.number for v in add.versions.order_by("number")] == [1, 2]
    gone = Tool.objects.get(server=trivial, name="echo")
    assert gone.removed_at is not None


def test_only_what_is_enabled_granted_and_in_scope_is_usable(
    trivial: Server, agent: Principal
) -> None:
    assert len(usable_by(agent).names) == 10
    one = Tool.objects.get(server=trivial, name="add")
    catalog.set_environments(tool_ids=[one.pk], environments=[], actor=ACTOR, at=now())
    assert "trivial.add" not in usable_by(agent).names
    catalog.set_server_status(
        server_id=trivial.pk, status="disabled", actor=ACTOR, at=now()
    )
    assert usable_by(agent).names == frozenset()


def test_secrets_of_a_server_are_sealed_to_their_row() -> None:
    server = catalog.add_server(
        name="paid",
        transport="http",
        url="http://127.0.0.1:1/mcp",
        secrets={"Authorization": "Bearer canary-value-1"},
        actor=ACTOR,
        at=now(),
    )
    stored = Server.objects.get(pk=server.pk)
    assert b"canary" not in bytes(stored.secrets or b"")
    assert stored.secret_values() == {"Authorization": "Bearer canary-value-1"}
    assert "canary" not in Event.objects.get(name="server.added").body


def names(principal: Principal) -> frozenset[str]:
    return usable_by(principal).names


def test_a_grant_holds_in_its_environment_for_its_role_and_by_its_tag() -> None:
    team, server = make_team("sales"), make_server(name="crm")
    places = [make_environment(slug) for slug in ("dev", "prod")]
    for name, tags in (("read", ["safe"]), ("write", []), ("drop", ["danger"])):
        make_tool(server, name=name, tags=tags, environments=places)
    dev, prod = (
        principal_of(make_key(make_account(team), environment=slug).key)
        for slug in ("dev", "prod")
    )
    assert names(dev) == frozenset()
    make_grant(team, Tag(name="safe"))
    make_grant(team, server, environment="dev")
    assert names(dev) == {"crm.read", "crm.write", "crm.drop"}
    assert names(prod) == {"crm.read"}

    boss = replace(prod, roles=("approver",))
    access.give(
        subjects=[Tag(name="danger")],
        holders=[Holder("role", "approver", "prod")],
        reason="clean-up",
        actor=ACTOR,
        at=now(),
    )
    assert names(boss) == {"crm.read", "crm.drop"}
    assert names(prod) == {"crm.read"}
    assert names(replace(dev, team="support", roles=("approver",))) == frozenset()

    usable = usable_by(prod)
    tools = usable.catalog.tools
    assert [usable.granted(tools[f"crm.{name}"]) for name in ("read", "drop")] == [
        True,
        False,
    ]
    tagged = Tool.objects.get(name="write")
    catalog.set_tags(tool_id=tagged.pk, tags=["safe"], actor=ACTOR, at=now())
    assert names(prod) == {"crm.read", "crm.write"}


def test_a_person_at_the_playground_acts_in_their_roles_while_they_have_them() -> None:
    sales, support = make_team("sales"), make_team("support")
    make_user("bob", (sales, "approver"), (support, "member"))
    run = make_run(team="sales")
    assert runs.acting(run).roles == ()
    run.submitted_by = "user:bob"
    assert runs.acting(run).roles == ("approver",)
    run.team = "support"
    assert runs.acting(run).roles == ("member",)
    Membership.objects.filter(role="member").update(role="auditor")
    assert runs.acting(run).roles == ("auditor",)
    User.objects.update(is_active=False)
    assert runs.acting(run).roles == ()
