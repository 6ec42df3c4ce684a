"""Sends one signed request to an address that somebody typed in.

Signed as Standard Webhooks 1.0 says. The name is resolved once, every address it has
is checked, and the connection goes to the checked address, so that a name cannot point
somewhere else in between. Redirects are not followed, and one deadline holds for all.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from core.errors import Invalid, TollgateError

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_MOST_HEAD_BYTES = 8_192
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotDelivered(TollgateError):
    """The receiver did not take the message; ``final`` says that it never will."""

    code = "not_delivered"
    status = 502

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


def new_secret() -> str:
    """A signing secret in the form that receivers' libraries expect."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signature(secret: str, *, uid: str, timestamp: int, body: bytes) -> str:
    """The ``webhook-signature`` of a message."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = f"{uid}.{timestamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


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


def send(
    url: str,
    *,
    uid: str,
    timestamp: int,
    body: bytes,
    secret: str,
    private: Sequence[str],
    seconds: float,
) -> None:
    """POST the message. Raises NotDelivered."""
    try:
        parts = check_url(url, private=private)
    except Invalid as error:
        raise NotDelivered(error.message) from error
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    host = parts.netloc
    head = "\r\n".join(
        (
            f"POST {target} HTTP/1.1",
            f"host: {host}",
            "user-agent: Tollgate-Webhooks/1",
            "content-type: application/json",
            f"content-length: {len(body)}",
            f"webhook-id: {uid}",
            f"webhook-timestamp: {timestamp}",
            "webhook-signature: "
            + signature(secret, uid=uid, timestamp=timestamp, body=body),
            "connection: close\r\n\r\n",
        )
    )
    status = asyncio.run(_exchange(parts, head.encode() + body, private, seconds))
    if not 200 <= status < 300:
        raise NotDelivered(f"The receiver answered {status}.", final=status == 410)


async def _exchange(
    parts: SplitResult, request: bytes, private: Sequence[str], seconds: float
) -> int:
    """The status of the answer; its body is not read."""
    try:
        async with asyncio.timeout(seconds):
            return await _status(parts, request, private)
    except TimeoutError:
        raise NotDelivered(f"The receiver took longer than {seconds:g} s.") from None
    except (OSError, ssl.SSLError, UnicodeError, ValueError) as error:
        said = str(error) or type(error).__name__
        raise NotDelivered(f"No connection, or not HTTP: {said}") from error


async def _status(parts: SplitResult, request: bytes, private: Sequence[str]) -> int:
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    address = await _resolve(host, port, private)
    reader, writer = await asyncio.open_connection(
        address,
        port,
        ssl=ssl.create_default_context() if secure else None,
        server_hostname=host if secure else None,
        limit=_MOST_HEAD_BYTES,
    )
    try:
        writer.write(request)
        await writer.drain()
        line = (await reader.readline()).split()
    finally:
        writer.transport.abort()
    if len(line) < 2 or not line[0].startswith(b"HTTP/1."):
        raise ValueError("the answer has no HTTP status")
    return int(line[1])


async def _resolve(host: str, port: int, private: Sequence[str]) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )
    addresses = [str(entry[4][0]) for entry in found]
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
