"""The audit explorer: who may, what is found, and that taking it away is on record."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from audit.actor import Actor
from audit.models import Event
from core.clock import now
from tests.builders.audit import make_event
from tests.builders.identity import Cast

pytestmark = pytest.mark.django_db
ANN = Actor("user", "user:ann", "Ann Example", request_id="req_9")


def _uids(client: Client, query: str) -> set[str]:
    page = client.get(f"/audit/?{query}").context["page"]
    return {event.uid for event in page.rows}


def test_a_member_is_refused_and_that_is_on_record(client: Client, cast: Cast) -> None:
    client.force_login(cast.member)
    response = client.get("/audit/?q=secret")
    assert response.status_code == 403
    assert "Ask an administrator" in response.content.decode()
    event = Event.objects.newest_first()[0]
    assert (event.name, event.decision) == ("access.denied", "deny")
    assert event.actor_id == "user:alice"
    assert "/audit/" in event.summary


def test_events_are_newest_first_and_a_week_back(auditor: Client) -> None:
    old = make_event(at=now() - timedelta(days=8))
    new = make_event(at=now() - timedelta(days=1))
    found = _uids(auditor, "")
    assert new.uid in found
    assert old.uid not in found
    assert {old.uid, new.uid} <= _uids(auditor, "period=all")


@pytest.mark.parametrize(
    "query",
    [
        "name=session.signed_in",
        "name=session.*",
        "decision=deny",
        "actor=user:ann",
        "actor=Ann",
        "tool=mail.send",
        "tool=mail.*",
        "run=run_77",
        "request=req_9",
        "team=legal",
        "q=Ann+signed",
        "q=actor:ann",
        "q=actor:user:ann+-team:support",
        'q="Ann Example"',
        "q=tool:mail.*+decision:deny",
    ],
)
def test_each_filter_finds_the_event_and_leaves_the_other(
    auditor: Client, query: str
) -> None:
    actor = Actor("user", "user:ann", "Ann Example", team="legal", request_id="req_9")
    wanted = make_event(
        "session.signed_in",
        actor=actor,
        at=now(),
        decision="deny",
        tool="mail.send",
        run="run_77",
    )
    other = make_event(at=now(), decision="allow", tool="crm.list", run="run_1")
    found = _uids(auditor, query)
    assert wanted.uid in found
    assert other.uid not in found


def test_days_are_given_by_from_and_to(auditor: Client) -> None:
    first = make_event(at=now().replace(year=2025, month=3, day=1))
    second = make_event(at=now().replace(year=2025, month=3, day=3))
    found = _uids(auditor, "first=2025-03-01&last=2025-03-02")
    assert first.uid in found
    assert second.uid not in found


@pytest.mark.parametrize("query", ["period=9d", "first=yesterday", "decision=maybe"])
def test_a_filter_that_makes_no_sense_says_so(auditor: Client, query: str) -> None:
    response = auditor.get(f"/audit/?{query}")
    assert response.status_code == 422
    assert 'role="alert"' in response.content.decode()


@pytest.mark.parametrize("query", ["q='", "q=a%00b", "before=x", "q=-", "q=:"])
def test_odd_queries_do_not_break_the_page(auditor: Client, query: str) -> None:
    assert auditor.get(f"/audit/?{query}").status_code in {200, 422}


def test_pages_follow_each_other_without_gap_or_repeat(auditor: Client) -> None:
    made = [make_event(at=now()).uid for _ in range(120)]
    path, seen = "/audit/?name=team.changed", []
    while path:
        page = auditor.get(path).context["page"]
        seen += [event.uid for event in page.rows]
        path = page.older
    assert seen == made[::-1]


def test_newer_leads_back_to_the_same_rows(auditor: Client) -> None:
    for _ in range(120):
        make_event(at=now())
    first = auditor.get("/audit/?name=team.changed").context["page"]
    second = auditor.get(first.older).context["page"]
    back = auditor.get(second.newer).context["page"]
    assert [event.pk for event in back.rows] == [event.pk for event in first.rows]
    assert back.newer == ""


def test_one_event_shows_its_body_and_its_run(auditor: Client) -> None:
    event = make_event(at=now(), run="run_5", payload={"<b>": "</script>"})
    near = make_event(at=now(), run="run_5")
    far = make_event(at=now(), run="run_6")
    text = auditor.get(f"/audit/{event.uid}/").content.decode()
    assert "&lt;/script&gt;" in text
    assert near.uid in text
    assert far.uid not in text


def test_an_event_without_a_run_shows_its_request(auditor: Client) -> None:
    event = make_event(actor=ANN, at=now())
    near = make_event(actor=ANN, at=now())
    assert near.uid in auditor.get(f"/audit/{event.uid}/").content.decode()


def test_an_unknown_event_is_not_found(auditor: Client) -> None:
    assert auditor.get("/audit/evt_none/").status_code == 404


@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_export_has_the_rows_of_the_filter_and_is_on_record(
    auditor: Client, form: str
) -> None:
    made = {make_event(at=now(), run="run_5").uid for _ in range(3)}
    make_event(at=now(), run="run_6")
    response = auditor.get(f"/audit/?run=run_5&export={form}")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert {uid for uid in made if uid in text} == made
    assert "run_6" not in text
    assert len(text.splitlines()) == (4 if form == "csv" else 3)
    if form == "json":
        assert json.loads(text.splitlines()[0])["body"]["run"] == "run_5"
    event = Event.objects.newest_first()[0]
    assert event.name == "audit.exported"
    payload = json.loads(event.body)["payload"]
    assert payload["filters"] == {"run": ["run_5"], "period": "7d"}


def test_an_export_is_complete_beyond_one_batch(
    auditor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.selectors._BATCH", 7)
    for _ in range(30):
        make_event(at=now())
    response = auditor.get("/audit/?name=team.changed&export=json")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    assert len({json.loads(line)["uid"] for line in text.splitlines()}) == 30


def test_an_unknown_form_of_export_is_refused(auditor: Client) -> None:
    assert auditor.get("/audit/?export=exe").status_code == 422


def test_thirty_events_cost_as_many_queries_as_three(
    auditor: Client,
    django_assert_num_queries: DjangoAssertNumQueries,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(3):
        make_event(at=now())
    with django_assert_max_num_queries(10) as few:
        auditor.get("/audit/")
    for _ in range(27):
        make_event(at=now())
    with django_assert_num_queries(len(few)):
        auditor.get("/audit/")


def test_an_event_leads_to_calls_with_the_same_value(auditor: Client) -> None:
    one, same = (
        make_event(at=now(), tool="bank.pay", payload={"digests": [["iban", "a" * 32]]})
        for _ in range(2)
    )
    make_event(at=now(), tool="bank.pay", payload={"digests": [["iban", "b" * 32]]})
    page = auditor.get(f"/audit/{one.uid}/").content.decode()
    assert f'href="/audit/?q=digest:{"a" * 32}">iban</a>' in page
    found = auditor.get(f"/audit/?q=digest:{'a' * 32}").context["page"].rows
    assert {event.uid for event in found} == {one.uid, same.uid}
