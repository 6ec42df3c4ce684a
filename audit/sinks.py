"""The kinds of sinks: what each can be set to, and the transport that follows."""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from audit.formats import JSON, LABELS, OCSF
from audit.transports import Transport
from audit.transports.file import FileTransport
from audit.transports.hec import HecTransport
from audit.transports.otlp import OtlpTransport
from audit.transports.syslog import PORT, SyslogTransport
from audit.transports.webhook import WebhookTransport
from core.errors import Invalid
from core.outgoing import Tls, check_host, check_url

FILE, SYSLOG, SPLUNK, OTLP, WEBHOOK = "file", "syslog", "splunk", "otlp", "webhook"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.(jsonl|log|cef)")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:-]{0,252}[A-Za-z0-9])?")
_TRUST = ("authority",)
_MTLS = ("authority", "certificate")
_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """``options`` are shown to whoever may see sinks, ``secrets`` to nobody."""

    label: str
    options: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    forms: tuple[str, ...] = tuple(LABELS)


KINDS: Mapping[str, Kind] = {
    FILE: Kind("JSON lines file", ("file", "megabytes", "hours"), needed=("file",)),
    SYSLOG: Kind("Syslog over TLS", ("host", "port", *_MTLS), ("key",), ("host",)),
    SPLUNK: Kind(
        "Splunk HEC",
        ("url", "index", *_TRUST),
        ("token",),
        ("url", "token"),
        (OCSF, JSON),
    ),
    OTLP: Kind(
        "OpenTelemetry logs", ("url", *_MTLS), ("authorization", "key"), ("url",)
    ),
    WEBHOOK: Kind(
        "Webhook", ("url", *_MTLS), ("signing", "key"), ("url", "signing"), (OCSF, JSON)
    ),
}
KIND_CHOICES = [(name, kind.label) for name, kind in KINDS.items()]
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    FILE: {"megabytes": 100, "hours": 24},
    SYSLOG: {"port": PORT},
}
DEFAULT_FORMS = {FILE: JSON, SYSLOG: OCSF, SPLUNK: OCSF, OTLP: OCSF, WEBHOOK: JSON}


def checked(
    *, kind: str, form: str, options: Mapping[str, Any], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """The options as they are kept. Raises Invalid; never names a secret."""
    known = KINDS.get(kind)
    if known is None:
        raise Invalid(f"There is no kind {kind!r}: use {', '.join(KINDS)}.")
    if form not in known.forms:
        raise Invalid(f"{known.label} takes {' or '.join(known.forms)}, not {form!r}.")
    if foreign := (set(options) - set(known.options)) | (
        set(secrets) - set(known.secrets)
    ):
        raise Invalid(f"{known.label} has no {', '.join(sorted(foreign))}.")
    entered = {name: value for name, value in options.items() if value != ""}
    given = {**DEFAULTS.get(kind, {}), **entered}
    for name in known.needed:
        if not given.get(name) and not secrets.get(name):
            raise Invalid(f"Give the {name}.")
    _check_values(kind, given, secrets)
    return given


def _check_values(
    kind: str, given: Mapping[str, Any], secrets: Mapping[str, str]
) -> None:
    private = settings.WEBHOOK_PRIVATE_HOSTS
    if kind == FILE:
        if not _FILE_NAME.fullmatch(str(given["file"])):
            raise Invalid("Give a file name such as audit.jsonl, without a folder.")
        _check_number(given, "megabytes", 1, 100_000)
        _check_number(given, "hours", 1, 24 * 366)
    elif kind == SYSLOG:
        if not _HOST.fullmatch(str(given["host"])):
            raise Invalid("Give the host's name or address alone, without a port.")
        check_host(str(given["host"]), private=private)
        _check_number(given, "port", 1, 65_535)
    else:
        check_url(str(given["url"]), private=private)
    if any(set("\r\n") & set(secrets.get(name, "")) for name in _IN_A_HEADER):
        raise Invalid("A token or header has no line breaks.")
    if signing := secrets.get("signing"):
        _check_signing(signing)
    if bool(given.get("certificate")) != bool(secrets.get("key")):
        raise Invalid("A certificate and its key go together: give both, or none.")
    _tls(given, secrets).context()


_IN_A_HEADER = ("token", "authorization")


def _check_number(given: Mapping[str, Any], name: str, least: int, most: int) -> None:
    number = given[name]
    if type(number) is not int or not least <= number <= most:
        raise Invalid(f"The {name} have to be a number from {least} to {most}.")


def _check_signing(secret: str) -> None:
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if len(key) < 24 or not secret.startswith("whsec_"):
        raise Invalid(
            "The signing secret has to be whsec_ and at least 24 random bytes in "
            "base64: echo whsec_$(openssl rand -base64 32)"
        )


def _tls(options: Mapping[str, Any], secrets: Mapping[str, str]) -> Tls:
    return Tls(
        authority=str(options.get("authority", "")),
        certificate=str(options.get("certificate", "")),
        key=secrets.get("key", ""),
    )


def transport(
    *, kind: str, form: str, options: Mapping[str, Any], secrets: Mapping[str, str]
) -> Transport:
    """The way to the receiver of a sink whose settings were checked."""
    private, seconds = settings.WEBHOOK_PRIVATE_HOSTS, float(settings.SINK_SECONDS)
    tls = _tls(options, secrets)
    if kind == FILE:
        return FileTransport(
            path=Path(settings.AUDIT_SINK_DIR) / str(options["file"]),
            form=form,
            most_bytes=int(options["megabytes"]) * _MB,
            most_seconds=float(options["hours"]) * 3_600,
        )
    if kind == SYSLOG:
        host, port = str(options["host"]), int(options["port"])
        return SyslogTransport(host, port, form, tls, private, seconds)
    url = str(options["url"])
    if kind == SPLUNK:
        token, index = secrets["token"], str(options.get("index", ""))
        return HecTransport(url, token, form, index, tls, private, seconds)
    if kind == OTLP:
        authorization = secrets.get("authorization", "")
        return OtlpTransport(url, authorization, form, tls, private, seconds)
    return WebhookTransport(url, secrets["signing"], form, tls, private, seconds)
