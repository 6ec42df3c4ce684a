"""Reports for auditors: what stands in them, and what they cost."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pypdf
import pytest
from django.urls import reverse

from audit.actor import Actor, Target
from audit.models import Checkpoint, Event
from audit.registry import known
from core.clock import now
from gateway.models import Server, ToolCall
from gateway.selectors.audit_reports import REPORTS
from gateway.selectors.audit_reports.privileged import (
    AREAS,
    EVERYDAY,
    area_of,
    privileged,
)
from gateway.services.holds import resolve
from policy.models import ApiKey, Team
from tests.builders.audit import AGENT, make_event, seal_events
from tests.builders.catalog import make_grant, make_server
from tests.builders.holds import make_approval, make_held_run, make_unknown
from tests.builders.identity import (
    Cast,
    actor_of,
    make_account,
    make_key,
    make_personal_key,
    make_team,
)
from tests.integration.gateway.pages.conftest import Browse, queries_of
from tests.integration.gateway.pages.reporting import deny, figure, page, path, rows

SLUGS = [report.slug for report in REPORTS]


def test_every_report_is_listed_and_open_to_auditors(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.auditor)
    html = client.get(reverse("audit_reports")).content.decode()
    for report in REPORTS:
        assert report.title in html
        assert path(report.slug) in html
        assert "Nothing to show" in page(client, report.slug) or report.slug in (
            "changes",
            "denied",
        )
    assert client.get(path("gossip")).status_code == 404


def test_denied_calls_are_counted_by_reason_rule_tool_and_team(
    cast: Cast, browse: Browse
) -> None:
    deny()
    deny()
    shown = deny(
        "rule big-refunds: deny: 700 > 500", rules=("big-refunds",), run="run_7"
    )
    deny(at=now() - timedelta(days=40))
    client = browse(cast.auditor)
    html = page(client, "denied")
    assert figure(client, "denied", "Denied") == "3"
    assert "By reason" in html
    assert "grant: no grant covers it" in html
    for link in (
        "?rule=big-refunds",
        "?tool=crm.refund",
        "?team=sales",
        reverse("event", args=[shown.uid]),
        reverse("run", args=["run_7"]),
    ):
        assert f'href="{link}"' in html, link
    assert [one["run"] for one in rows(client, "denied", "?rule=big-refunds")] == [
        "run_7"
    ]
    assert len(rows(client, "denied", "?reason=no+grant+covers")) == 2
    assert len(rows(client, "denied", "?tool=crm.*&team=sales")) == 3
    assert len(rows(client, "denied", "?actor=sa:sales/agent")) == 3
    assert rows(client, "denied", "?team=support") == []
    assert len(rows(client, "denied", "?period=90d")) == 4


def test_what_was_in_favour_of_a_call_is_no_reason(cast: Cast, browse: Browse) -> None:
    deny("grant")
    assert [one["reasons"] for one in rows(browse(cast.auditor), "denied")] == [""]


def test_a_rule_does_not_match_by_a_part_of_its_name(
    cast: Cast, browse: Browse
) -> None:
    deny("rule big: deny", rules=("big",))
    deny("rule bigger: deny", rules=("bigger",))
    found = rows(browse(cast.auditor), "denied", "?rule=big")
    assert [one["rules"] for one in found] == ["big"]


def test_changes_have_area_person_and_reason(cast: Cast, browse: Browse) -> None:
    at = now() - timedelta(minutes=5)
    make_event(
        "grant.given",
        actor=Actor("user", "user:erin", "Erin Example"),
        at=at,
        target=Target("server", "crm", "crm"),
        before={"granted": False},
        after={"granted": True},
        payload={"holder": "team sales", "reason": "the agent needs it"},
    )
    make_event("run.submitted", at=at)
    client = browse(cast.auditor)
    found = rows(client, "changes", "?area=access")
    assert [(one["name"], one["actor_label"], one["reason"]) for one in found] == [
        ("grant.given", "Erin Example", "the agent needs it")
    ]
    assert json.loads(found[0]["after"]) == {"granted": True}
    assert {one["name"] for one in rows(client, "changes")}.isdisjoint(EVERYDAY)
    assert [one["name"] for one in rows(client, "changes", "?actor=user:erin")] == [
        "grant.given"
    ]


def test_every_kind_of_event_is_privileged_or_known_to_be_everyday() -> None:
    # A kind that is new is in the report until it is named as everyday.
    assert set(known()) >= EVERYDAY, "these are no kinds of events any more"
    assert privileged() == set(known()) - EVERYDAY
    acts = ("given", "taken", "set", "published", "revoked", "created", "removed")
    grave = {name for name in known() if name.endswith(acts)}
    # Views and drafts decide nothing, and a tool is removed by its server.
    assert grave & EVERYDAY == {
        "audit.view_removed",
        "policy.draft_created",
        "tool.removed",
        "annotation.removed",
        "report_view.removed",
        "report_schedule.created",
        "report_schedule.removed",
    }
    assert {area_of(name) for name in privileged()} <= set(AREAS)


def test_approvals_say_who_decided_and_how_long_it_took(
    cast: Cast, browse: Browse
) -> None:
    make_approval(state="used")
    make_approval(state="rejected", tool="crm.drop")
    make_approval(minutes_left=-1)
    client = browse(cast.auditor)
    found = rows(client, "approvals")
    assert [one["state"] for one in found] == ["expired", "rejected", "used"]
    assert found[2]["decided_by"] == "Bob Example"
    assert found[2]["seconds"] == pytest.approx(480)
    assert found[2]["asks"] == "1 of role approver"
    assert figure(client, "approvals", "Asked") == "3"
    assert figure(client, "approvals", "Median to decide") == "8 min"
    dropped = rows(client, "approvals", "?state=rejected")
    assert [one["tool"] for one in dropped] == ["crm.drop"]
    assert len(rows(client, "approvals", "?actor=bob")) == 2
    html = page(client, "approvals")
    assert "Bob Example" in html
    assert "8 min" in html


def test_outcomes_say_who_settled_them_and_how_long_they_were_open(
    cast: Cast, browse: Browse
) -> None:
    open_one = make_unknown(sent_minutes_ago=30)
    settled = make_unknown(sent_minutes_ago=70, tool="crm.drop")
    resolve(
        call_id=settled.pk,
        resolution=ToolCall.Resolution.HAPPENED,
        reason="seen in the shop",
        actor=actor_of(cast.approver),
        at=now() - timedelta(minutes=10),
        value={"id": 1},
    )
    ended = make_unknown(make_held_run(status="cancelled"), sent_minutes_ago=5)
    client = browse(cast.auditor)
    found = {one["run"]: one for one in rows(client, "outcomes")}
    assert len(found) == 3
    done = found[settled.run.uid]
    assert (done["settled_by"], done["verdict"], done["reason"]) == (
        "Bob Example",
        "It happened",
        "seen in the shop",
    )
    assert done["seconds"] == pytest.approx(3600, abs=5)
    assert found[open_one.run.uid]["seconds"] == pytest.approx(1800, abs=5)
    assert found[ended.run.uid]["state"] == "Run ended before a decision"
    assert figure(client, "outcomes", "To decide") == "1"
    assert figure(client, "outcomes", "Median open") == "1 h"
    assert [one["tool"] for one in rows(client, "outcomes", "?state=decided")] == [
        "crm.drop"
    ]


def test_key_hygiene_names_what_speaks_against_each_key(
    cast: Cast, browse: Browse
) -> None:
    at = now()
    fine = make_key(
        name="fine", at=at, scopes=["tools:crm.*"], expires_at=at + timedelta(days=30)
    ).key
    old = make_key(
        make_account(make_team("ghosts")),
        name="old",
        at=at - timedelta(days=300),
        scopes=["tools:*", "policy:write"],
    ).key
    ApiKey.objects.filter(pk=old.pk).update(last_used_at=at - timedelta(days=100))
    gone = make_key(name="gone", at=at).key
    ApiKey.objects.filter(pk=gone.pk).update(revoked_at=at)
    make_personal_key(cast.approver)
    cast.approver.is_active = False
    cast.approver.save(update_fields=["is_active"])
    client = browse(cast.auditor)
    found = rows(client, "keys")
    assert [one["name"] for one in found] == ["old", "my laptop", "fine"]
    assert found[0]["findings"] == (
        "Owner gone; Broad scopes; No expiry; Unused for 90 days; Older than 180 days; "
        "Every tool of the team"
    )
    assert found[1]["findings"] == "Owner gone"
    assert found[2]["findings"] == ""
    assert figure(client, "keys", "Keys in use") == "3"
    assert figure(client, "keys", "Owner gone") == "2"
    assert [one["name"] for one in rows(client, "keys", "?finding=broad")] == ["old"]
    assert [one["name"] for one in rows(client, "keys", "?team=sales")] == ["fine"]
    assert fine.prefix in page(client, "keys")


def test_a_key_without_use_is_never_used_after_a_month(
    cast: Cast, browse: Browse
) -> None:
    make_key(name="fresh", at=now() - timedelta(days=29))
    make_key(make_account(name="other"), name="idle", at=now() - timedelta(days=31))
    found = rows(browse(cast.auditor), "keys", "?finding=never_used")
    assert [one["name"] for one in found] == ["idle"]


@pytest.mark.parametrize("slug", SLUGS)
def test_a_report_can_be_taken_along_and_that_is_on_record(
    slug: str, cast: Cast, browse: Browse, settings: Any
) -> None:
    settings.ORGANISATION = "Example Ltd"
    deny()
    make_approval(state="used")
    make_unknown()
    make_key()
    make_grant(cast.team, make_server(name="crm"))
    seal_events(at=now())
    client = browse(cast.auditor)
    report = next(one for one in REPORTS if one.slug == slug)
    answer = client.get(path(slug, "?export=csv"))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    table = list(csv.reader(io.StringIO(text)))
    assert table[0] == [column.name for column in report.columns]
    assert len(table) > 1
    answer = client.get(path(slug, "?export=pdf"))
    assert answer["Content-Type"] == "application/pdf"
    assert f"{slug}-{now():%Y-%m-%d}.pdf" in answer["Content-Disposition"]
    read = pypdf.PdfReader(io.BytesIO(answer.content))
    words = " ".join(one.extract_text() for one in read.pages)
    for said in (
        report.title,
        "Example Ltd",
        "Carol Example (user:carol)",
        "Time zone UTC",
        f"checkpoint of {Checkpoint.objects.get().size} events at",
        f"Page 1 of {len(read.pages)}",
        report.shown[0].label,
    ):
        assert said in words, said
    forms = Event.objects.filter(name="list.exported").order_by("pk")
    assert [json.loads(one.body)["payload"]["form"] for one in forms] == ["csv", "pdf"]
    assert client.get(path(slug, "?export=xls")).status_code == 422


@pytest.mark.parametrize(
    ("slug", "query"),
    [
        ("denied", "?period=century"),
        ("denied", "?first=yesterday"),
        ("denied", "?team=%00"),
        ("approvals", "?state=lost"),
        ("keys", "?finding=ugly"),
    ],
)
def test_a_filter_that_cannot_be_used_is_said(
    slug: str, query: str, cast: Cast, browse: Browse
) -> None:
    response = browse(cast.auditor).get(path(slug, query))
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


def _fill(number: int, cast: Cast) -> None:
    for _ in range(number):
        deny(rules=("big-refunds",))
        make_event("quota.set", actor=AGENT, at=now() - timedelta(hours=1))
        make_approval(state="rejected")
        settled = make_unknown(sent_minutes_ago=20)
        resolve(
            call_id=settled.pk,
            resolution="did_not",
            reason="r",
            actor=AGENT,
            at=now(),
        )
        make_grant(cast.team, make_server(name=f"s{Server.objects.count()}"))
        make_key(make_account(Team.objects.get(slug="sales")), name=str(number))


@pytest.mark.parametrize("slug", SLUGS)
def test_many_rows_cost_as_many_queries_as_few(
    slug: str, cast: Cast, browse: Browse
) -> None:
    client = browse(cast.auditor)
    _fill(3, cast)
    few = queries_of(client, path(slug))
    _fill(27, cast)
    assert queries_of(client, path(slug)) == few
    assert few <= 14
