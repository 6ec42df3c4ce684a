"""Two teams side by side: what one's people and keys do never crosses to the other.

A state machine asks for any address of the access table, as anybody of either team,
with the names of either team's things; it makes more rows in between. Nothing of the
other team may be in an answer, and none of its rows may change. Roles that work for the
whole organisation (auditors, finance, administrators) are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Q, QuerySet
from guardian.models import GroupObjectPermission
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from finops.models import Budget, TaskFact
from gateway.models import Run, Task, ToolCall
from policy import scopes
from policy.models import (
    ApiKey,
    Approval,
    Membership,
    PersonalKey,
    Project,
    Quota,
    SandboxPolicy,
    ServiceAccount,
    Team,
    User,
)
from tests.builders.audit import AGENT, make_event
from tests.builders.budgets import make_budget
from tests.builders.finops import make_fact
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import (
    make_account,
    make_key,
    make_personal_key,
    make_project,
    make_team,
    make_user,
)
from tests.builders.runs import make_call, make_run, make_task
from tests.builders.world import make_world
from tests.integration.access_table import TABLE, Row
from tests.integration.sending import send

LINES = [line for line in TABLE if line.name not in {"sign_in", "sign_out"}]
# Words that stand in each one's rows and nowhere else.
MARKS = {"sales": "quaxolfa", "support": "quivizeta"}
PARTS = ("member", "approver", "key")
_IGNORED = {"last_used_at", "last_login"}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A team with its people, a key of every scope, and what its things are called."""

    slug: str
    people: Mapping[str, User]
    bearer: str
    names: Mapping[str, Any]


def make_tenant(slug: str, shared: Mapping[str, Any]) -> Tenant:
    team, mark = make_team(slug), MARKS[slug]
    people = {
        part: make_user(f"{mark}-{part}", (team, part))
        for part in ("member", "approver")
    }
    account = make_account(team, f"{mark}-agent")
    make_project(team, mark)
    every = [f"{area}:*" for area in scopes.AREAS]
    key = make_key(account, name=f"{mark} key", scopes=every, project=mark)
    run = make_run(
        task=make_task(label=mark, team=slug),
        team=slug,
        status="running",
        code=f"return '{mark}'",
        stdout=mark,
        principal=f"sa:{slug}/{mark}-agent",
        principal_label=f"{mark}-agent",
        project=mark,
        model=mark,
    )
    make_call(run, arguments={"text": mark}, result=mark)
    return Tenant(
        slug,
        people,
        key.text,
        {
            **shared,
            "run": run.uid,
            "task": make_fact(
                task=run.task.uid, run=run.uid, team=slug, project=mark
            ).task,
            "key": key.key.pk,
            "personal": make_personal_key(people["approver"]).key.pk,
            "membership": Membership.objects.get(user=people["member"]).pk,
            "person": people["member"].pk,
            "quota": Quota.objects.create(
                team=team, metric="runs", window="month", limit=900
            ).pk,
            "budget": make_budget("90", name=f"{mark} budget", team=team).uid,
            "approval": _held(slug).uid,
            "unknown": make_unknown(
                make_held_run(team=slug, status="awaiting_outcome"),
                arguments={"text": mark},
            ).pk,
            "event": make_event(
                actor=replace(AGENT, team=slug, label=mark), payload={"text": mark}
            ).uid,
        },
    )


def _held(slug: str) -> Approval:
    run = make_held_run(team=slug, code=f"refund('{MARKS[slug]}')")
    return make_approval(run, arguments={"order": MARKS[slug]})


def rows_of(slug: str) -> dict[str, list[Any]]:
    """Everything that is this team's, but for when a key was last used."""
    group = Q(group__name=f"team:{slug}") | Q(group__name__startswith=f"team:{slug}@")
    found: list[QuerySet[Any]] = [
        Team.objects.filter(slug=slug),
        Membership.objects.filter(team__slug=slug),
        User.objects.filter(teams__slug=slug),
        Project.objects.filter(team__slug=slug),
        ServiceAccount.objects.filter(team__slug=slug),
        ApiKey.objects.filter(service_account__team__slug=slug),
        PersonalKey.objects.filter(user__teams__slug=slug),
        Quota.objects.filter(team__slug=slug),
        Budget.objects.filter(team__slug=slug),
        TaskFact.objects.filter(team=slug),
        SandboxPolicy.objects.filter(team__slug=slug),
        GroupObjectPermission.objects.filter(group),
        Task.objects.filter(team=slug),
        Run.objects.filter(team=slug),
        ToolCall.objects.filter(run__team=slug),
        Approval.objects.filter(team=slug),
    ]
    return {
        rows.model._meta.label: list(
            rows.order_by("pk").values_list(
                *(
                    field.attname
                    for field in rows.model._meta.concrete_fields
                    if field.attname not in _IGNORED
                )
            )
        )
        for rows in found
    }


def text_of(response: Any) -> str:
    """The body and the headers of an answer, streamed or not."""
    parts = response.streaming_content if response.streaming else [response.content]
    headers = "\n".join(f"{name}: {value}" for name, value in response.items())
    return headers + b"".join(parts).decode(errors="replace")


def of_team(line: Row, slug: str) -> Row:
    """The line with this team in place of the one it names."""

    def swap(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: swap(one) for key, one in value.items()}
        if isinstance(value, list):
            return [swap(one) for one in value]
        return value.replace("sales", slug) if isinstance(value, str) else value

    return replace(
        line,
        arguments=swap(line.arguments),
        body=swap(line.body),
        query=swap(line.query),
    )


class Tenants(RuleBasedStateMachine):
    """Each example is a transaction that is rolled back."""

    tenants: Mapping[str, Tenant]

    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.leaks: list[str] = []

    @initialize()
    def begin(self) -> None:
        shared = make_world()
        self.tenants = {slug: make_tenant(slug, shared) for slug in MARKS}

    @rule(
        line=st.sampled_from(LINES),
        slug=st.sampled_from(sorted(MARKS)),
        part=st.sampled_from(PARTS),
        about=st.sampled_from(sorted(MARKS)),
        query=st.sampled_from(["", "team={about}", "export=csv", "q={mark}"]),
    )
    def ask(self, line: Row, slug: str, part: str, about: str, query: str) -> None:
        tenant = self.tenants[slug]
        other = next(one for one in MARKS if one != slug)
        wanted = of_team(line, about)
        if line.method == "GET" and not line.query:
            # The text that is searched for may be shown again: one's own, then.
            filled = query.format(about=about, mark=MARKS[slug])
            wanted = replace(wanted, query=filled)
        before = rows_of(other)
        response = send(
            wanted,
            self.tenants[about].names,
            tenant.people.get(part),
            bearer=tenant.bearer if part == "key" else "",
        )
        said = f"{line}?{wanted.query} as {part} of {slug} about {about}"
        assert response.status_code < 500, said
        if MARKS[other] in text_of(response):
            self.leaks.append(f"{said} shows the other's rows: {response.status_code}")
        if rows_of(other) != before:
            self.leaks.append(
                f"{said}: {response.status_code} changed the other's rows"
            )

    @rule(slug=st.sampled_from(sorted(MARKS)), what=st.sampled_from(["run", "hold"]))
    def more(self, slug: str, what: str) -> None:
        if what == "hold":
            _held(slug)
        else:
            make_run(team=slug, stdout=MARKS[slug], task=make_task(team=slug))

    @invariant()
    def nothing_crosses(self) -> None:
        assert self.leaks == []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)


@pytest.mark.django_db
def test_two_tenants_never_cross() -> None:
    run_state_machine_as_test(
        Tenants,
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db
def test_the_machine_would_see_a_crossing() -> None:
    world = make_world()
    sales, support = (make_tenant(slug, world) for slug in MARKS)
    line = next(line for line in LINES if str(line) == "GET run")
    shown = send(line, support.names, world["admin"])
    assert MARKS["support"] in text_of(shown)
    assert MARKS["support"] not in text_of(send(line, sales.names, world["admin"]))
    before = rows_of("support")
    Run.objects.filter(uid=support.names["run"]).update(stdout="x")
    assert rows_of("support") != before


@pytest.mark.django_db
@pytest.mark.parametrize("part", PARTS)
def test_no_address_shows_the_other_team(part: str) -> None:
    world = make_world()
    tenants = {slug: make_tenant(slug, world) for slug in MARKS}
    sales, mark = tenants["sales"], MARKS["support"]
    found, before = [], rows_of("support")
    for line in LINES:
        with transaction.atomic():
            response = send(
                of_team(line, "support"),
                tenants["support"].names,
                sales.people.get(part),
                bearer=sales.bearer if part == "key" else "",
            )
            if mark in text_of(response) or rows_of("support") != before:
                found.append(f"{line}: {response.status_code}")
            transaction.set_rollback(True)
    assert found == []
