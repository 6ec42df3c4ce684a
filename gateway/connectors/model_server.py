"""Connections from the web process to model servers, to checked addresses only."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from core.errors import TollgateError
from core.outgoing import NotDelivered, address_of, check_url
from gateway.connectors.http_client import (
    ConnectFailed,
    ConnectionBroken,
    HttpClient,
    Response,
)

_USER_AGENT = "tollgate/1"
_MOST_CLIENTS = 64


class UpstreamAway(TollgateError):
    """The model server cannot be reached, or does not speak HTTP."""

    code = "model_server_away"
    status = 502


class UpstreamSlow(TollgateError):
    """The model server said nothing for as long as it may take."""

    code = "model_server_slow"
    status = 504


@dataclass(frozen=True, slots=True)
class Place:
    """A model server as it is connected to."""

    url: str
    timeout_seconds: float
    headers: Mapping[str, str] = field(repr=False)


class Answer:
    """The head of an answer, and its body as it comes in."""

    def __init__(self, response: Response, seconds: float) -> None:
        self._response = response
        self._seconds = seconds
        self.status = response.status
        self.headers = response.headers

    async def parts(self) -> AsyncIterator[bytes]:
        """The body. Raises UpstreamAway, UpstreamSlow."""
        parts = self._response.chunks()
        while True:
            try:
                async with asyncio.timeout(self._seconds):
                    part = await anext(parts, None)
            except TimeoutError:
                raise _slow(self._seconds) from None
            except ConnectionBroken:
                raise UpstreamAway(
                    "The model server ended the connection in the middle of its "
                    "answer: try again."
                ) from None
            if part is None:
                return
            yield part

    def close(self) -> None:
        """Give the connection back, or close it where the answer is not read."""
        self._response.close()


class Upstreams:
    """Kept-alive connections by origin; lives on one event loop.

    ``private`` are the hosts and networks inside the perimeter that may be reached.
    """

    def __init__(self, *, private: Sequence[str]) -> None:
        self._private = tuple(private)
        self._clients: dict[tuple[str, str], HttpClient] = {}

    async def send(
        self, place: Place, verb: str, path: str, body: bytes = b"", **more: str
    ) -> Answer:
        """Send a request and await the head of its answer.

        Raises UpstreamAway, UpstreamSlow.
        """
        try:
            parts = check_url(place.url, private=self._private)
        except TollgateError as error:
            raise UpstreamAway(error.message) from error
        headers = {
            "host": parts.netloc,
            "user-agent": _USER_AGENT,
            "accept-encoding": "identity",
            "content-type": "application/json",
            **{name.lower(): value for name, value in place.headers.items()},
            **more,
        }
        target = parts.path.rstrip("/") + path
        if parts.query:
            target += f"?{parts.query}"
        try:
            async with asyncio.timeout(place.timeout_seconds):
                client = self._client(place.url)
                response = await client.send(verb, target, headers, body)
        except TimeoutError:
            raise _slow(place.timeout_seconds) from None
        except NotDelivered as error:
            raise UpstreamAway(error.message) from error
        except (ConnectFailed, ConnectionBroken) as error:
            raise UpstreamAway(
                f"The model server cannot be reached: {str(error)[:200]}. Try again, "
                "or tell an administrator."
            ) from None
        return Answer(response, place.timeout_seconds)

    async def aclose(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def _client(self, url: str) -> HttpClient:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        if origin not in self._clients:
            if len(self._clients) >= _MOST_CLIENTS:
                # Only origins that are no longer configured are so many.
                self._clients.pop(next(iter(self._clients)))
            resolve = partial(address_of, private=self._private)
            self._clients[origin] = HttpClient(url, resolve=resolve)
        return self._clients[origin]


def _slow(seconds: float) -> UpstreamSlow:
    return UpstreamSlow(
        f"The model server said nothing for {seconds:g} s: try again, ask for less, or "
        "have an administrator raise its time limit."
    )
