"""Each way to a receiver, against a real one where there is one."""

import json
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from audit.actor import Actor
from audit.formats.items import Anchor, Item, Sealed
from audit.registry import EventKind
from audit.services.record import build
from audit.sinks import checked, transport
from audit.transports.file import FileTransport
from core import webhook as signing
from core.errors import Invalid
from core.outgoing import NotDelivered
from tests.integration.audit.sinks.certificates import Authority, Pair, make_authority
from tests.integration.audit.sinks.receivers import (
    TOKEN,
    Hec,
    Receiver,
    Rsyslog,
    otlp,
    running,
    server_context,
    until,
    webhook,
)

AT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
ALICE = Actor("user", "user:alice", "Alice", address="10.0.0.9")
DONE = EventKind("test.done", "{actor} did “it”")
NOTE = "origin\n3\nq83v\n\n— origin AAAA\n"
SIGNING = "whsec_" + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def sealed(index: int, **details: Any) -> Sealed:
    made = build(DONE, actor=ALICE, at=AT, **details)
    return Sealed(index, made.uid, AT, made.name, made.summary, made.body, "ab" * 32)


def items(count: int) -> list[Item]:
    anchor = Anchor(count, "cd" * 32, NOTE, AT)
    return [*(sealed(n) for n in range(count)), anchor]


def send(
    kind: str, form: str, what: list[Item], secrets: Any = None, **options: Any
) -> None:
    kept = checked(kind=kind, form=form, options=options, secrets=secrets or {})
    transport(kind=kind, form=form, options=kept, secrets=secrets or {}).send(what)


# File


def file_transport(folder: Path, **limits: Any) -> FileTransport:
    limits = {"most_bytes": 10_000, "most_seconds": 3_600.0} | limits
    return FileTransport(folder / "audit.jsonl", "json", **limits)


def test_a_file_gets_a_line_for_each(tmp_path: Path) -> None:
    send("file", "json", items(3), file="audit.jsonl")
    written = (tmp_path / "sinks" / "audit.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in written]
    assert [one.get("index", one.get("note")) for one in found] == [0, 1, 2, NOTE]
    assert (tmp_path / "sinks" / "audit.jsonl").stat().st_mode & 0o777 & ~0o640 == 0


def test_a_full_file_is_put_aside_and_kept(tmp_path: Path) -> None:
    way = file_transport(tmp_path, most_bytes=3_000)
    for index in range(12):
        way.send([sealed(index)])
    files = sorted(tmp_path.glob("audit*.jsonl"))
    assert len(files) > 2
    assert all(path.stat().st_size <= 3_000 for path in files)
    texts = [path.read_text() for path in files]
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    assert sorted(one["index"] for one in lines) == list(range(12))


def test_an_old_file_is_put_aside(tmp_path: Path) -> None:
    way = file_transport(tmp_path)
    way.send([sealed(0)])
    way.send([sealed(1)])
    assert len(list(tmp_path.glob("audit*.jsonl"))) == 1
    begun = tmp_path / ".audit.jsonl.begun"
    begun.write_text((datetime.now(UTC) - timedelta(hours=2)).isoformat())
    way.send([sealed(2)])
    assert len(list(tmp_path.glob("audit*.jsonl"))) == 2
    assert json.loads((tmp_path / "audit.jsonl").read_text())["index"] == 2


def test_a_line_torn_by_a_crash_is_cut(tmp_path: Path) -> None:
    way = file_transport(tmp_path)
    way.send([sealed(0)])
    with (tmp_path / "audit.jsonl").open("a") as torn:
        torn.write('{"index": 1, "bo')
    way.send([sealed(1)])
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["index"] for line in lines] == [0, 1]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """A limit on the size of files cuts a write short, as a full disk does."""
    way = file_transport(tmp_path)
    way.send([sealed(0)])
    path = tmp_path / "audit.jsonl"
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 100, hard))
    try:
        with pytest.raises(NotDelivered, match=r"audit\.jsonl: File too large"):
            way.send([sealed(1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    way.send([sealed(1)])
    assert len(path.read_text().splitlines()) == 2


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotDelivered, match="symbolic links"):
        file_transport(tmp_path).send([sealed(0)])
    assert not (tmp_path / "elsewhere").exists()


# Syslog over TLS


def syslog(
    rsyslog: Rsyslog, pair: Pair | None, what: list[Item], **options: Any
) -> None:
    mine: dict[str, Any] = {
        "authority": rsyslog.authority.certificate,
        "host": "localhost",
    }
    mine |= {"port": rsyslog.port, "certificate": pair.certificate if pair else ""}
    send("syslog", "ocsf", what, {"key": pair.key} if pair else {}, **mine | options)


def test_rsyslog_takes_each_message_over_mutual_tls(
    rsyslog: Rsyslog, client_pair: Pair
) -> None:
    syslog(rsyslog, client_pair, [sealed(n, reasons=["x\ny"]) for n in range(50)])
    until(lambda: len(rsyslog.lines) == 50)
    for index, line in enumerate(rsyslog.lines):
        head, _, body = line.partition("\ufeff")
        assert head.startswith("audit.info - test.done [tollgate@32473 uid=")
        assert f'index="{index}"' in head
        assert json.loads(body)["metadata"]["sequence"] == index


def test_rsyslog_refuses_whoever_has_no_certificate_of_ours(
    rsyslog: Rsyslog,
) -> None:
    for pair in (None, *[make_authority().issue("tollgate-client")] * 10):
        with pytest.raises(NotDelivered):
            syslog(rsyslog, pair, [sealed(1)])
    assert rsyslog.lines == []


def test_a_syslog_server_that_nobody_vouches_for_is_told_nothing(
    rsyslog: Rsyslog, client_pair: Pair
) -> None:
    with pytest.raises(NotDelivered, match="not trusted"):
        syslog(rsyslog, client_pair, [sealed(1)], authority="")
    assert rsyslog.lines == []


def test_a_syslog_server_that_is_away_is_an_error(
    rsyslog: Rsyslog, client_pair: Pair
) -> None:
    rsyslog.stop()
    with pytest.raises(NotDelivered, match="refused"):
        syslog(rsyslog, client_pair, [sealed(1)])


# Splunk


def test_splunk_confirms_each_batch() -> None:
    hec = Hec()
    with running(Receiver(hec)) as receiver:
        send(
            "splunk", "ocsf", items(3), {"token": TOKEN}, url=receiver.url, index="sec"
        )
    assert (len(receiver.kept), hec.given) == (4, 1)
    assert hec.asked == 1
    first = receiver.kept[0]
    assert first["sourcetype"] == "tollgate:ocsf"
    assert (first["index"], first["event"]["metadata"]["sequence"]) == ("sec", 0)
    assert float(first["time"]) == pytest.approx(AT.timestamp(), abs=0.001)


def test_splunk_without_receipts_is_asked_for_none() -> None:
    hec = Hec(receipts=False)
    with running(Receiver(hec)) as receiver:
        send("splunk", "json", items(1), {"token": TOKEN}, url=receiver.url)
    assert (len(receiver.kept), hec.asked) == (2, 0)


def test_what_splunk_does_not_confirm_is_not_delivered() -> None:
    with (
        running(Receiver(Hec(confirm=False))) as receiver,
        pytest.raises(NotDelivered, match="no receipt") as caught,
    ):
        send("splunk", "json", items(1), {"token": TOKEN}, url=receiver.url)
    assert not caught.value.final


@pytest.mark.parametrize(
    ("answer", "final"),
    [
        ((400, {"text": "Invalid data format", "code": 6}), True),
        ((400, {"text": "Incorrect index", "code": 7}), False),
        ((413, {"text": "Too large"}), True),
        ((503, {"text": "Server is busy", "code": 9}), False),
    ],
)
def test_splunk_refusals_are_told_apart(answer: Any, final: bool) -> None:
    with (
        running(Receiver(Hec(), behave=lambda _: answer)) as receiver,
        pytest.raises(NotDelivered, match=answer[1]["text"]) as caught,
    ):
        send("splunk", "json", items(1), {"token": TOKEN}, url=receiver.url)
    assert caught.value.final is final


def test_a_wrong_token_is_never_repeated_in_the_error() -> None:
    with (
        running(Receiver(Hec())) as receiver,
        pytest.raises(NotDelivered, match="Invalid token") as caught,
    ):
        send("splunk", "json", items(1), {"token": "s3cret"}, url=receiver.url)
    assert "s3cret" not in str(caught.value)


# OTLP


def test_a_collector_reads_every_record() -> None:
    with running(Receiver(otlp)) as receiver:
        secrets = {"authorization": "Bearer abc"}
        send("otlp", "ocsf", items(2), secrets, url=f"{receiver.url}/v1/logs")
    assert receiver.headers[0]["authorization"] == "Bearer abc"
    first, _, anchor = receiver.kept
    assert first.time_unix_nano == int(AT.timestamp() * 1_000_000) * 1_000
    assert (first.severity_text, first.event_name) == ("INFO", "test.done")
    assert json.loads(first.body.string_value)["metadata"]["sequence"] == 0
    found = {one.key: one.value.string_value for one in first.attributes}
    assert found["tollgate.index"] == "0"
    assert found["user.id"] == "user:alice"
    assert anchor.event_name == "audit.checkpoint"


def test_a_partial_success_is_a_refusal() -> None:
    part = {"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "too big"}}
    with (
        running(Receiver(otlp, behave=lambda _: (200, part))) as receiver,
        pytest.raises(NotDelivered, match="too big") as caught,
    ):
        send("otlp", "json", items(2), url=f"{receiver.url}/v1/logs")
    assert caught.value.final


# Webhook


def test_a_webhook_is_signed_over_mutual_tls(
    authority: Authority, client_pair: Pair, tmp_path: Path
) -> None:
    server = authority.issue("localhost")
    (tmp_path / "chain.pem").write_text(server.certificate + server.key)
    context = server_context(authority, clients=True)
    context.load_cert_chain(tmp_path / "chain.pem")
    bodies: list[bytes] = []
    taking = Receiver(webhook, behave=lambda body: bodies.append(body), context=context)
    with running(taking) as receiver:
        known = {"url": receiver.url, "authority": authority.certificate}
        mine = {"certificate": client_pair.certificate, **known}
        secrets = {"signing": SIGNING, "key": client_pair.key}
        what = items(2)
        send("webhook", "json", what, secrets, **mine)
        send("webhook", "json", what, secrets, **mine)
        with pytest.raises(NotDelivered):
            send("webhook", "json", what, {"signing": SIGNING}, **known)
    first, second = receiver.headers
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] == signing.signature(
        SIGNING,
        uid=first["webhook-id"],
        timestamp=int(first["webhook-timestamp"]),
        body=bodies[0],
    )
    assert len(receiver.kept) == 6


def test_a_receiver_that_hangs_is_left_after_the_time_limit() -> None:
    with running(Receiver(webhook)) as receiver:
        receiver.hanging.set()
        with pytest.raises(NotDelivered, match="longer than 2 s"):
            send("webhook", "json", items(1), {"signing": SIGNING}, url=receiver.url)


# Settings


@pytest.mark.parametrize(
    ("kind", "form", "options", "secrets", "says"),
    [
        ("pigeon", "json", {}, {}, "no kind"),
        ("file", "json", {"file": "../x.jsonl"}, {}, "without a folder"),
        ("file", "json", {"file": "/etc/x.jsonl"}, {}, "without a folder"),
        ("file", "json", {}, {}, "Give the file"),
        ("file", "json", {"file": "a.jsonl", "hours": 0}, {}, "from 1 to"),
        ("file", "json", {"file": "a.jsonl", "url": "x"}, {}, "has no url"),
        ("syslog", "json", {"host": "10.0.0.1"}, {}, "private network"),
        ("syslog", "json", {"host": "a b"}, {}, "without a port"),
        ("splunk", "cef", {"url": "https://s"}, {"token": "t"}, "takes ocsf or json"),
        ("splunk", "json", {"url": "https://s"}, {}, "Give the token"),
        ("splunk", "json", {"url": "https://s"}, {"token": "t\r\nx"}, "line breaks"),
        ("splunk", "json", {"url": "http://s"}, {"token": "t"}, "Use https"),
        ("otlp", "json", {"url": "https://169.254.169.254/"}, {}, "private network"),
        ("otlp", "json", {"url": "https://c", "authority": "x"}, {}, "have to be PEM"),
        ("otlp", "json", {"url": "https://c"}, {"key": "k"}, "go together"),
        ("webhook", "json", {"url": "https://c"}, {"signing": "x"}, "whsec_"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    kind: str, form: str, options: Any, secrets: Any, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        checked(kind=kind, form=form, options=options, secrets=secrets)


def test_an_address_inside_the_perimeter_is_checked_at_each_send(
    settings: Settings,
) -> None:
    with running(Receiver(webhook)) as receiver:
        url = receiver.url.replace("127.0.0.1", "localhost")
        way = transport(
            kind="webhook",
            form="json",
            options={"url": url.replace("http:", "https:")},
            secrets={"signing": SIGNING},
        )
        object.__setattr__(way, "private", [])
        with pytest.raises(NotDelivered, match="private network"):
            way.send([sealed(0)])
    assert receiver.headers == []
