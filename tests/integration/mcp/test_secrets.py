"""Secrets that are put in everywhere come out nowhere."""

import sys
from dataclasses import dataclass

import httpx2
import pytest
from django.conf import settings
from django.db import connection
from django.test import Client

from audit.digests import digest_of
from audit.models import Event
from audit.services.retention import Leaves, sealed_lines
from audit.services.sealing import seal_waiting
from core.clock import now
from core.models import Revision, raise_revision
from deploy.probes import answers, free_port
from gateway.connectors.pool import UpstreamPool
from gateway.models import Server, Tool
from gateway.selectors.audit_reports import REPORTS
from gateway.services import catalog, sync
from policy.models import Environment
from tests.builders.catalog import make_grant, make_server, make_tool
from tests.builders.identity import (
    ACTOR,
    Role,
    make_account,
    make_key,
    make_team,
    make_user,
)
from tests.integration.mcp.world import World
from tests.stack import ROOT

# Nothing in these looks like a secret: only where they stand says so.
ENVIRONMENT = "canary-of-the-environment-4711"
HEADER = "canary-of-the-header-4712"
PASSWORD = "canary-of-an-argument-4713"
DIRECT = "canary-of-a-direct-call-4714"
PATHS = (
    "/",
    "/catalog/servers/",
    "/catalog/tools/",
    "/catalog/servers/leaky/",
    "/catalog/servers/leaky_http/",
    "/catalog/tools/leaky/sign_in/",
    "/runs/",
    "/audit/",
    "/audit/?period=all&export=csv",
    "/audit/?period=all&export=json",
    "/audit/sinks/",
    "/audit/retention/",
    "/audit/reports/",
    *(f"/audit/reports/{one.slug}/?export=csv" for one in REPORTS),
    "/api/v1/audit/events/",
    "/api/v1/runs/",
    "/costs/",
    "/settings/keys/",
    "/settings/teams/vault/",
    "/playground/",
    "/metrics",
    "/readyz",
)


@dataclass(frozen=True, slots=True)
class Told:
    """What was put in, and the answers that came."""

    key: str
    wrong_key: str
    session: str
    answers: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def canaries(self) -> tuple[str, ...]:
        secret = self.key.rpartition("_")[2], self.wrong_key.rpartition("_")[2]
        return (ENVIRONMENT, HEADER, PASSWORD, DIRECT, *secret)


def add_leaky(port: int) -> tuple[Server, Server]:
    """A stdio server with a secret in its environment, an HTTP one with a header."""
    stdio = catalog.add_server(
        name="leaky",
        transport="stdio",
        command=[sys.executable, "-m", "tests.integration.mcp.servers.leaky"],
        secrets={"PYTHONPATH": str(ROOT), "LEAKY_TOKEN": ENVIRONMENT},
        actor=ACTOR,
        at=now(),
    )
    pool = UpstreamPool()
    try:
        sync.sync_server(server_id=stdio.pk, upstream=pool, actor=ACTOR, at=now())
    finally:
        pool.close()
    tools = Tool.objects.filter(server=stdio)
    ids = list(tools.values_list("pk", flat=True))
    assert len(ids) == 2
    catalog.confirm_effects(tool_ids=ids, actor=ACTOR, at=now())
    catalog.set_environments(tool_ids=ids, environments=["dev"], actor=ACTOR, at=now())
    catalog.set_direct(
        tool_id=tools.get(name="note").pk, direct=True, actor=ACTOR, at=now()
    )
    http = make_server(name="leaky_http", url=f"http://127.0.0.1:{port}/leak")
    http.set_secret_values({"Authorization": f"Bearer {HEADER}"})
    http.save()
    make_tool(
        http,
        name="ask",
        environments=[Environment.objects.get(slug="dev")],
        input_schema={"type": "object"},
        output_schema={},
    )
    raise_revision(Revision.CATALOG)
    return stdio, http


def use(world: World, key: str, wrong_key: str) -> tuple[list[str], list[str]]:
    """Make every call that could give a secret away."""
    stack = world.stack
    secret = f"'-'.join({PASSWORD.split('-')})"
    sign_in = f"tools.leaky.sign_in(user='ada', password={secret})"
    codes = [
        f"return {sign_in}",
        f"try:\n    {sign_in}\nexcept ToolError as error:\n    return str(error)",
        f"return tools.leaky.note(text='a', api_key={secret})",
        "return tools.leaky_http.ask()",
    ]
    envelopes = [stack.execute(key, code) for code in codes]
    assert [one["status"] for one in envelopes] == [
        "failed",
        "succeeded",
        "succeeded",
        "failed",
    ]
    assert "is refused" in envelopes[0]["error"]["message"]
    direct = stack.call(key, "leaky.note", {"text": "a", "api_key": DIRECT})
    assert not direct.is_error
    refused = httpx2.post(
        stack.mcp_url, headers={"Authorization": f"Bearer {wrong_key}"}, timeout=30
    )
    assert refused.status_code == 401
    said = [str(one) for one in envelopes] + [direct.model_dump_json(), refused.text]
    return said, [one["run"] for one in envelopes]


@pytest.fixture(scope="module")
def told(world: World) -> Told:
    stack, port = world.stack, free_port(0)
    module = "tests.integration.connectors.servers.odd"
    stack.spawn("odd", [sys.executable, "-m", module, str(port)])
    stack.wait_for(lambda: answers(port), "the odd server")
    with stack.database():
        team = make_team("vault")
        for server in add_leaky(port):
            make_grant(team, server)
        key = make_key(make_account(team)).text
        browser = Client()
        browser.force_login(make_user("erin", (team, Role.ADMIN)))
        session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    wrong_key = key[:-6] + "wrong6"
    said, runs = use(world, key, wrong_key)
    return Told(key, wrong_key, session, tuple(said), tuple(runs))


def found_in(text: str, told: Told) -> list[str]:
    return [canary for canary in told.canaries if canary in text]


def test_no_answer_holds_one(told: Told) -> None:
    for answer in told.answers:
        assert found_in(answer, told) == []


def test_no_row_of_the_database_holds_one(world: World, told: Told) -> None:
    with world.stack.database(), connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        assert {"audit_event", "gateway_toolcall", "gateway_run"} <= set(tables)
        leaks = []
        for table in tables:
            name = connection.ops.quote_name(table)
            cursor.execute(f"SELECT t::text FROM {name} t")  # noqa: S608
            for (row,) in cursor.fetchall():
                leaks += [(table, canary, row) for canary in found_in(row, told)]
    assert [(one[:2], one[2][:3000]) for one in leaks] == []


def test_no_page_shows_one(world: World, told: Told) -> None:
    cookies = {settings.SESSION_COOKIE_NAME: told.session}
    with world.stack.database():
        uids = list(Event.objects.order_by("-pk").values_list("uid", flat=True)[:60])
    paths = [
        *PATHS,
        *(f"/runs/{run}/" for run in told.runs),
        *(f"/api/v1/runs/{run}/" for run in told.runs),
        *(f"/audit/{uid}/" for uid in uids),
        *(f"/api/v1/audit/events/{uid}/" for uid in uids),
    ]
    with httpx2.Client(
        base_url=world.stack.url, cookies=cookies, timeout=30, follow_redirects=True
    ) as browser:
        for path in paths:
            page = browser.get(path)
            assert page.status_code == 200, path
            assert "Sign in" not in page.text[:2_000], path
            assert found_in(page.text, told) == [], path


def test_no_export_of_the_sealed_trail_holds_one(world: World, told: Told) -> None:
    at = now()
    with world.stack.database():
        seal_waiting(at=at)
        month = at.date().replace(day=1)
        lines = list(sealed_lines(month, Leaves()))
        assert len(lines) >= Event.objects.filter(run__in=told.runs).count() > 10
    assert found_in(b"".join(lines).decode(), told) == []


def test_an_argument_can_be_found_by_its_digest_alone(world: World, told: Told) -> None:
    with world.stack.database():
        found = Event.objects.filter(body__contains=digest_of(PASSWORD))
        assert {one.tool for one in found} == {"leaky.sign_in", "leaky.note"}


def test_no_log_holds_one(world: World, told: Told) -> None:
    assert "runner@" in world.stack.logs()
    assert found_in(world.stack.logs(), told) == []


def test_no_command_line_holds_one(world: World, told: Told) -> None:
    for process in world.stack.processes.values():
        with open(f"/proc/{process.pid}/cmdline") as line:
            assert found_in(line.read(), told) == []
