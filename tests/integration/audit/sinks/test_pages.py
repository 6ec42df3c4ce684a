"""What an operator does with sinks, on pages and over REST."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from audit.checks.checkpoints import notes_in
from audit.models import Checkpoint, DeadLetter, Event, Sink
from audit.notes import check
from audit.services.delivery import take_turn
from core.clock import now
from gateway.selectors.metrics import exposition
from tests.builders.audit import AGENT, SEAL_KEY, make_event, seal_events
from tests.builders.identity import Cast
from tests.builders.sinks import make_file_sink, make_sink
from tests.integration.audit.sinks.receivers import (
    TOKEN,
    Hec,
    Receiver,
    otlp,
    running,
    webhook,
)

pytestmark = pytest.mark.django_db
SIGNING = "whsec_" + "Q0FOQVJZY2FuYXJ5Q0FOQVJZY2FuYXJ5Q0FOQVJZY2E="


@pytest.fixture
def admin(cast: Cast) -> Client:
    client = Client()
    client.force_login(cast.admin)
    return client


def url(name: str, *args: Any, **kwargs: Any) -> str:
    return reverse(name, args=args, kwargs=kwargs)


def last(name: str) -> dict[str, Any]:
    found = Event.objects.filter(name=name).order_by("-pk").first()
    assert found is not None, f"no {name} is on record"
    body: dict[str, Any] = json.loads(found.body)
    return body


def test_an_operator_adds_tests_pauses_resumes_and_removes_a_sink(
    admin: Client, tmp_path: Path
) -> None:
    with running(Receiver(Hec())) as receiver:
        form = {"name": "SIEM", "form": "ocsf", "begin": "start", "token": TOKEN}
        form |= {"url": receiver.url, "index": "sec"}
        add = url("audit_sink_add", "splunk")
        assert "SIEM" not in admin.get(url("audit_sinks")).content.decode()
        assert admin.get(add).status_code == 200
        assert admin.post(add, form).status_code == 302
        sink = Sink.objects.get(name="SIEM")
        assert last("sink.created")["after"]["options"]["url"] == receiver.url

        said = admin.post(url("audit_sink_test", sink.pk))
        assert said.status_code == 422, "nothing is sealed yet"
        seal_events()
        page = admin.post(url("audit_sink_test", sink.pk), follow=True)
        assert "It took the newest sealed event" in page.content.decode()
        assert len(receiver.kept) == 1
        assert last("sink.tested")["payload"]["outcome"] == "it took the event"

        pause = url("audit_sink_pause", sink.pk)
        assert admin.get(pause).status_code == 200
        assert admin.post(pause, {"reason": " "}).status_code == 422
        assert admin.post(pause, {"reason": "maintenance"}).status_code == 302
        assert last("sink.paused")["payload"]["reason"] == "maintenance"
        seal_events()
        assert take_turn(sink.pk).idle
        assert admin.post(url("audit_sink_resume", sink.pk)).status_code == 302
        seal_events()
        take_turn(sink.pk)
        sink.refresh_from_db()
        assert sink.cursor == Event.objects.count()
        listed = admin.get(url("audit_sinks")).content.decode()
        assert "delivering" in listed

        remove = url("audit_sink_remove", sink.pk)
        assert admin.get(remove).status_code == 200
        assert admin.post(remove, {"reason": "moved"}).status_code == 302
    assert not Sink.objects.exists()
    assert last("sink.removed")["payload"]["reason"] == "moved"


def test_a_failed_test_says_why_without_the_token(admin: Client) -> None:
    with running(Receiver(Hec())) as receiver:
        sink = make_sink("splunk", secrets={"token": "CANARY-12345"}, url=receiver.url)
        seal_events()
        page = admin.post(url("audit_sink_test", sink.pk), follow=True)
    assert "The test failed: Splunk answered 403: Invalid token" in (
        page.content.decode()
    )


def test_credentials_are_not_sent_to_another_receiver(admin: Client) -> None:
    kept, other = "https://splunk.example.org", "https://evil.example.org"
    sink = make_sink("splunk", name="s", secrets={"token": TOKEN}, url=kept)
    change = url("audit_sink_change", sink.pk)
    form = {"name": "s", "form": "json", "url": other}
    refused = admin.post(change, form)
    assert refused.status_code == 422
    assert "enter its credentials again" in refused.content.decode()
    assert admin.post(change, form | {"url": f"{kept}"}).status_code == 302
    assert admin.post(change, form | {"token": "another"}).status_code == 302
    sink.refresh_from_db()
    assert (sink.options["url"], sink.secrets) == (other, {"token": "another"})
    changed = last("sink.changed")
    assert changed["payload"]["renewed"] == ["token"]
    assert "another" not in json.dumps(changed)


def test_a_sink_with_dead_letters_is_kept_until_they_are_taken(admin: Client) -> None:
    with running(Receiver(webhook)) as receiver:
        sink = make_sink("webhook", secrets={"signing": SIGNING}, url=receiver.url)
        event = make_event()
        letter = DeadLetter.objects.create(
            sink=sink,
            position=7,
            uid=event.uid,
            at=event.at,
            name=event.name,
            summary=event.summary,
            body=event.body,
            hash="ab" * 32,
            error="it said no",
            created_at=now(),
        )
        page = admin.get(url("audit_sink", sink.pk)).content.decode()
        assert "it said no" in page
        assert event.uid in page
        refused = admin.post(url("audit_sink_remove", sink.pk), {"reason": "r"})
        assert refused.status_code == 422
        assert "never dropped" in refused.content.decode()
        resend = url("audit_sink_resend", sink.pk)
        assert admin.post(resend, {"letter": letter.pk}).status_code == 302
        take_turn(sink.pk)
        letter.refresh_from_db()
    assert letter.state == "delivered"
    assert receiver.kept[0]["body"]["uid"] == event.uid
    assert last("sink.resent")["payload"]["letters"] == 1


@pytest.mark.parametrize("form", ["json", "ocsf"])
def test_a_file_sink_anchors_the_trail(settings: Settings, form: str) -> None:
    """Its checkpoints are found by what verify_audit reads with --checkpoint."""
    sink = make_sink("file", form=form, file="audit.jsonl")
    make_event()
    seal_events()
    take_turn(sink.pk)
    (note,) = notes_in((Path(settings.AUDIT_SINK_DIR) / "audit.jsonl").read_text())
    assert note == Checkpoint.objects.get().note
    said, keys = check(note, [SEAL_KEY.key])
    assert (said.size, keys) == (2, [SEAL_KEY.key])


def everywhere(admin: Client, sinks: list[Sink]) -> list[str]:
    """Whatever of sinks can be read: pages, answers, events, rows, figures."""
    pages = [
        admin.get(path).content.decode()
        for sink in sinks
        for path in (
            url("audit_sinks"),
            url("audit_sink", sink.pk),
            url("audit_sink_change", sink.pk),
            url("api_audit_sink", sink.pk),
            url("api_audit_sinks"),
        )
    ]
    return [
        *pages,
        *Event.objects.values_list("body", flat=True),
        *Event.objects.values_list("summary", flat=True),
        *Sink.objects.values_list("last_error", flat=True),
        *(str(bytes(one.secret or b"")) for one in Sink.objects.all()),
        exposition().decode(),
    ]


def test_secrets_reach_no_sink_page_event_or_answer(
    admin: Client, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Canaries in arguments, errors and credentials of each kind of sink."""
    canaries = {
        "token": "CANARY-hec-77",
        "authorization": "Bearer CANARY-otlp-88",
        "signing": SIGNING,
    }
    argument = "sk-CANARYabcdefghijklmnop1234"

    def echo(body: bytes) -> tuple[int, dict[str, Any]]:
        return 503, {"text": f"busy with {canaries['token']}"}

    hec = Receiver(Hec(), behave=echo)
    with (
        running(Receiver(webhook)) as hook,
        running(Receiver(otlp)) as collector,
        running(hec),
    ):
        sinks = [
            make_file_sink(),
            make_sink("splunk", secrets={"token": canaries["token"]}, url=hec.url),
            make_sink(
                "otlp",
                secrets={"authorization": canaries["authorization"]},
                url=f"{collector.url}/v1/logs",
            ),
            make_sink("webhook", secrets={"signing": SIGNING}, url=hook.url),
        ]
        make_event(
            payload={
                "arguments": {"password": "CANARY-word", "text": argument},
                "error": f"refused key {argument}",
                "environment": {"API_TOKEN": "CANARY-environment"},
            }
        )
        seal_events()
        for sink in sinks:
            take_turn(sink.pk)
            admin.post(url("audit_sink_test", sink.pk))
        seal_events()
        for sink in sinks:
            take_turn(sink.pk)
    kept = [json.dumps(hook.kept), str(collector.kept), caplog.text]
    folder = Path(settings.AUDIT_SINK_DIR)
    kept.append((folder / "audit.jsonl").read_text())
    seen = "\n".join([*kept, *everywhere(admin, sinks)])
    assert "CANARY" not in seen
    assert "Q0FOQVJZ" not in seen
    assert "Splunk answered 503: busy with [redacted]" in seen


def test_a_key_in_a_refused_form_is_not_written_back(admin: Client) -> None:
    form = {"name": "", "form": "ocsf", "host": "h", "port": "1", "key": "CANARY-pem"}
    page = admin.post(url("audit_sink_add", "syslog"), form)
    assert page.status_code == 422
    assert "CANARY" not in page.content.decode()


def test_the_list_costs_the_same_for_3_and_30_sinks(admin: Client) -> None:
    counts = []
    for number in (3, 30):
        for n in range(Sink.objects.count(), number):
            make_file_sink(f"n{n}", f"n{n}.jsonl")
        seal_events()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert admin.get(url("audit_sinks")).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_rest_does_what_the_pages_do(admin: Client) -> None:
    body = {"name": "f", "kind": "file", "options": {"file": "f.jsonl"}}
    made = admin.post(url("api_audit_sinks"), body, content_type="application/json")
    assert made.status_code == 201
    assert made.json()["options"] == {"file": "f.jsonl", "megabytes": 100, "hours": 24}
    pk = made.json()["id"]
    bad = body | {"options": {"file": "../f"}}
    again = admin.post(url("api_audit_sink", pk), bad, content_type="application/json")
    assert again.status_code == 422
    renamed = body | {"name": "g", "form": "cef"}
    one = admin.post(
        url("api_audit_sink", pk), renamed, content_type="application/json"
    )
    assert (one.json()["name"], one.json()["form"]) == ("g", "cef")
    seal_events()
    assert admin.post(url("api_audit_sink_test", pk)).json() == {
        "ok": True,
        "error": "",
    }
    reason = {"reason": "r"}
    paused = admin.post(url("api_audit_sink_pause", pk), reason)
    assert paused.json()["state"] == "paused"
    assert admin.post(url("api_audit_sink_resume", pk)).json()["enabled"] is True
    assert admin.get(url("api_audit_dead_letters", pk)).json()["results"] == []
    assert admin.post(url("api_audit_sink_resend", pk)).status_code == 422
    assert admin.post(url("api_audit_sink_remove", pk), reason).status_code == 204
    assert admin.get(url("api_audit_sink", pk)).status_code == 404


def test_figures_say_how_far_each_sink_is() -> None:
    sink = make_file_sink("archive")
    make_event()
    seal_events()
    assert 'tollgate_audit_sink_lag_events{sink="archive"} 2.0' in exposition().decode()
    take_turn(sink.pk)
    text = exposition().decode()
    assert 'tollgate_audit_sink_lag_events{sink="archive"} 0.0' in text
    assert 'tollgate_audit_sink_delivered{sink="archive"} 3.0' in text
    assert 'tollgate_audit_sink_up{sink="archive"} 1.0' in text


def test_the_command_delivers_once_and_says_whether_sinks_are_served(
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_event(actor=AGENT)
    sink = make_file_sink()
    seal_events()
    Sink.objects.update(created_at=now().replace(year=2020))
    with pytest.raises(CommandError, match="nobody serves archive"):
        call_command("deliver_audit", "--alive", "60")
    call_command("deliver_audit", "--once")
    assert capsys.readouterr().out == "3 delivered\n"
    call_command("deliver_audit", "--alive", "60")
    assert sink.dead.count() == 0
