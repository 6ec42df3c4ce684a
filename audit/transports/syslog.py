"""Syslog messages (RFC 5424) over TLS (RFC 5425)."""

import fcntl
import platform
import socket
import ssl
import struct
import termios
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC

from audit.formats import line
from audit.formats.items import Item, Sealed, denied, name_of
from core.errors import Invalid
from core.outgoing import NotDelivered, Tls, connect

PORT = 6514
_LOG_AUDIT = 13
_WARNING, _INFORMATIONAL = 4, 6
_LONGEST_NAME = 32
_BOM = "\ufeff"
_ACK_PAUSE = 0.002
# CLOSE_WAIT in Linux's tcp_states.h.
_CLOSED_BY_PEER = 8


@dataclass(frozen=True, slots=True)
class SyslogTransport:
    """One connection a batch, so that its end can be waited for.

    Syslog has no receipts. But where the receiver closes the connection after our
    close_notify, its kernel has acknowledged every byte and sends no reset, its
    process has read them all.
    """

    host: str
    port: int
    form: str
    tls: Tls
    private: Sequence[str]
    seconds: float

    def send(self, items: Sequence[Item]) -> None:
        data = b"".join(framed(message(item, self.form)) for item in items)
        try:
            context = self.tls.context()
        except Invalid as error:
            raise NotDelivered(error.message) from error
        raw = connect(self.host, self.port, private=self.private, seconds=self.seconds)
        try:
            with closing(context.wrap_socket(raw, server_hostname=self.host)) as secure:
                secure.sendall(data)
                _end(secure, self.seconds)
        except (OSError, ValueError) as error:
            raise NotDelivered(f"{self.host}:{self.port}: {_said(error)}") from error
        finally:
            raw.close()


def _end(secure: ssl.SSLSocket, seconds: float) -> None:
    """Say that all was sent, and make sure that all was read."""
    with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
        secure.unwrap()
        while secure.recv(1_024):
            pass
    deadline = time.monotonic() + seconds
    while _unacknowledged(secure):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_ACK_PAUSE)
    # A receiver that closed before it had read all has sent a reset.
    state = secure.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    if state != _CLOSED_BY_PEER:
        raise ConnectionResetError("it closed the connection before it had read all")


def _unacknowledged(secure: ssl.SSLSocket) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(secure, termios.TIOCOUTQ, bytes(4)))
    return int(count)


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it took too long."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}."
    return str(error) or type(error).__name__


def framed(text: bytes) -> bytes:
    """A message with its length before it (RFC 5425, 4.3)."""
    return str(len(text)).encode() + b" " + text


def message(item: Item, form: str) -> bytes:
    """A whole syslog message (RFC 5424, 6)."""
    severity = _WARNING if denied(item) else _INFORMATIONAL
    at = item.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    name = name_of(item)[:_LONGEST_NAME]
    place = item.index if isinstance(item, Sealed) else item.size
    known = f'[tollgate@32473 uid="{item.uid}" index="{place}"]'
    head = (
        f"<{_LOG_AUDIT * 8 + severity}>1 {at} {_hostname()} tollgate - {name} {known}"
    )
    return f"{head} {_BOM}{line(form, item)}".encode()


def _hostname() -> str:
    named = "".join(filter(str.isprintable, platform.node().replace(" ", "")))
    return named.encode("ascii", "ignore").decode()[:255] or "-"
