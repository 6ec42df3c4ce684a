"""Talks to addresses that somebody typed in, and to no others.

A name is resolved once, every address it has is checked, and the connection goes to
the checked address, so that a name cannot point somewhere else in between. Redirects
are not followed, and one deadline holds for all.
"""

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from io import BytesIO
from typing import cast
from urllib.parse import SplitResult, urlsplit

from core.errors import Invalid, TollgateError

_MOST_HEAD_BYTES = 8_192
_MOST_BODY_BYTES = 65_536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(TollgateError):
    """The receiver did not take the message; ``final`` says that it never will."""

    code = "not_delivered"
    status = 502

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom to trust, and who we are, as PEM; "" stands for the system's trust."""

    authority: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)

    def context(self) -> ssl.SSLContext:
        """Raises Invalid where something is no PEM, or does not fit together."""
        try:
            made = ssl.create_default_context(cadata=self.authority or None)
            if self.certificate:
                _load_chain(made, self.certificate + "\n" + self.key)
        except (ssl.SSLError, ValueError) as error:
            raise Invalid(
                "Certificates and key have to be PEM, and the key that of the "
                f"certificate, without a passphrase: {type(error).__name__}."
            ) from error
        return made


def _load_chain(context: ssl.SSLContext, chain: str) -> None:
    """Through a file in memory, since OpenSSL reads no chain from a text."""
    memory = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        os.write(memory, chain.encode())
        context.load_cert_chain(f"/proc/self/fd/{memory}", password=_no_passphrase)
    finally:
        os.close(memory)


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP receiver said; ``body`` is "" where it was not asked for."""

    status: int
    body: bytes = b""


def check_url(url: str, *, private: Sequence[str]) -> SplitResult:
    """The parts of an address that may be called. Raises Invalid.

    ``private`` are hosts and networks inside the perimeter that an operator allows;
    only they may be called without TLS.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Invalid(f"This is no address: {error}.") from error
    if parts.scheme not in {"https", "http"} or not host:
        raise Invalid("Give a whole address that starts with https://.")
    if parts.username or parts.password or parts.fragment:
        raise Invalid("Give the address without a user, a password and a #part.")
    if any(ord(letter) < 33 or ord(letter) > 126 for letter in url):
        raise Invalid("An address has no blanks, and no letters beyond ASCII.")
    if parts.scheme == "http" and not _named(host, private):
        raise Invalid(
            "Use https://. Plain http:// is only for hosts that the operator names in "
            "TOLLGATE_WEBHOOK_PRIVATE_HOSTS."
        )
    if (address := _as_address(host)) is not None:
        _check_address(address, host, private)
    return parts


def post(
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    private: Sequence[str],
    seconds: float,
    tls: Tls | None = None,
    read: bool = False,
) -> Answer:
    """POST the body; ``read`` also takes the answer's. Raises NotDelivered."""
    try:
        parts = check_url(url, private=private)
        context = (tls or Tls()).context() if parts.scheme == "https" else None
    except Invalid as error:
        raise NotDelivered(error.message) from error
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = {
        "host": parts.netloc,
        **headers,
        "content-length": str(len(body)),
        "connection": "close",
    }
    if any(set("\r\n") & set(value) for value in lines.values()):
        raise NotDelivered("A header may not have a line break.")
    head = f"POST {target} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in lines.items()
    )
    request = (head + "\r\n").encode() + body
    return asyncio.run(_exchange(parts, request, private, seconds, context, read))


async def _exchange(
    parts: SplitResult,
    request: bytes,
    private: Sequence[str],
    seconds: float,
    context: ssl.SSLContext | None,
    read: bool,
) -> Answer:
    try:
        async with asyncio.timeout(seconds):
            return await _answer(parts, request, private, context, read)
    except TimeoutError:
        raise NotDelivered(f"The receiver took longer than {seconds:g} s.") from None
    except (
        OSError,
        ValueError,
        EOFError,
        HTTPException,
        asyncio.LimitOverrunError,
    ) as error:
        said = str(error) or type(error).__name__
        raise NotDelivered(f"No connection, or not HTTP: {said}") from error


async def _answer(
    parts: SplitResult,
    request: bytes,
    private: Sequence[str],
    context: ssl.SSLContext | None,
    read: bool,
) -> Answer:
    host = parts.hostname or ""
    port = parts.port or (443 if context else 80)
    reader, writer = await asyncio.open_connection(
        await address_of(host, port, private=private),
        port,
        ssl=context,
        server_hostname=host if context else None,
        limit=_MOST_HEAD_BYTES,
    )
    try:
        writer.write(request)
        await writer.drain()
        if read:
            return await _whole(reader)
        line = (await reader.readline()).split()
    finally:
        writer.transport.abort()
    if len(line) < 2 or not line[0].startswith(b"HTTP/1."):
        raise ValueError("the answer has no HTTP status")
    return Answer(int(line[1]))


async def address_of(host: str, port: int, *, private: Sequence[str]) -> str:
    """A checked address of the name. Raises NotDelivered, OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )
    return _checked([str(entry[4][0]) for entry in found], host, private)


async def _whole(reader: asyncio.StreamReader) -> Answer:
    """Head and body; of a body that is long, the beginning."""
    head = await reader.readuntil(b"\r\n\r\n")
    answer = _parsed(head)
    stated = answer.getheader("content-length") or ""
    most = min(int(stated), _MOST_BODY_BYTES) if stated.isdigit() else _MOST_BODY_BYTES
    body = b""
    while len(body) < most and (part := await reader.read(most - len(body))):
        body += part
    whole = _parsed(head + body)
    try:
        return Answer(whole.status, whole.read())
    except HTTPException:
        return Answer(whole.status)


def _parsed(answer: bytes) -> HTTPResponse:
    found = HTTPResponse(cast("socket.socket", _Received(answer)))
    found.begin()
    return found


class _Received:
    """Bytes that have come in, where HTTPResponse expects a socket."""

    def __init__(self, received: bytes) -> None:
        self.received = received

    def makefile(self, *_: object) -> BytesIO:
        return BytesIO(self.received)


def connect(
    host: str, port: int, *, private: Sequence[str], seconds: float
) -> socket.socket:
    """A TCP connection to a checked address. Raises NotDelivered."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        address = _checked([str(entry[4][0]) for entry in found], host, private)
        return socket.create_connection((address, port), timeout=seconds)
    except (OSError, UnicodeError) as error:
        raise NotDelivered(f"No connection to {host}:{port}: {error}") from error


def check_host(host: str, *, private: Sequence[str]) -> None:
    """Refuse an address inside the perimeter that no operator named."""
    if (address := _as_address(host)) is not None:
        _check_address(address, host, private)


def _checked(addresses: Sequence[str], host: str, private: Sequence[str]) -> str:
    for text in addresses:
        try:
            _check_address(ipaddress.ip_address(text), host, private)
        except Invalid as error:
            raise NotDelivered(error.message) from error
    return addresses[0]


def _check_address(address: Address, host: str, private: Sequence[str]) -> None:
    """Refuse what is not on the open internet, unless an operator named it."""
    meant = _meant(address)
    open_to_all = meant.is_global and not meant.is_multicast
    if not open_to_all and not _named(host, private) and not _within(meant, private):
        raise Invalid(
            f"{host} is at {address}, inside a private network: an operator may allow "
            "it in TOLLGATE_WEBHOOK_PRIVATE_HOSTS."
        )


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


def _named(host: str, private: Sequence[str]) -> bool:
    address = _as_address(host)
    return host in private or (address is not None and _within(address, private))


def _within(address: Address, private: Sequence[str]) -> bool:
    for text in private:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            continue
        if address in network:
            return True
    return False


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
