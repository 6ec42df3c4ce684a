"""One request to a model server: what comes passes as it comes, and is metered.

The end of an answer is held back until its usage is booked. A client that leaves stops
the model server, and pays for what it was given.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from audit.actor import Actor
from core.clock import now
from core.errors import TollgateError, Unavailable
from finops.model_usage import ModelUsage
from finops.models import UsageEvent
from gateway.codemode import tokens
from gateway.connectors.model_server import (
    Answer,
    Place,
    UpstreamAway,
    Upstreams,
)
from gateway.mcp_server.threads import in_thread
from gateway.passthrough.body import Request
from gateway.passthrough.errors import error_body, error_headers, status_of
from gateway.passthrough.stream import Follower, TooLong
from gateway.passthrough.usage import Said, said_in
from gateway.services.model_calls import Admitted, Ending, Outcome, end

logger = logging.getLogger("tollgate.models")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MOST_WHOLE_BYTES = 32 * 1024 * 1024
_MOST_ERROR_BYTES = 64 * 1024
_PATH = "/chat/completions"
_PASSED = ("content-type", "x-request-id", "retry-after")
_PASSED_PREFIXES = ("openai-", "x-ratelimit-")
_SHORTEST_SECRET = 4


@dataclass(slots=True)
class _Tail:
    """What is still to be sent once the usage is booked."""

    content: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """An admitted request and how far it has come."""

    upstreams: Upstreams
    admitted: Admitted
    request: Request
    expected: int
    actor: Actor
    headers: Mapping[str, str]
    _began: float = field(default_factory=time.monotonic)
    _first: float | None = None
    _status: int | None = None
    _outcome: str = Outcome.LEFT
    _said: Said | None = None
    _follower: Follower | None = None
    _started: bool = False

    async def run(self, receive: Receive, send: Send) -> None:
        """Answer the client, and book what was used however it ends."""
        work = asyncio.create_task(self._work(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # However this ends, also when the process is told to stop.
            left = not work.done()
            work.cancel()
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            tail = await self._tail_of(work)
            await asyncio.shield(asyncio.create_task(self._settle()))
        if not left:
            await self._finish(send, tail)

    async def _tail_of(self, work: "asyncio.Task[_Tail]") -> _Tail:
        try:
            return await work
        except asyncio.CancelledError:
            return _Tail()
        except Exception:
            logger.exception("%s failed", self.admitted.uid)
            self._outcome = Outcome.CUT_OFF if self._started else Outcome.FAILED
            return self._refusal(
                Unavailable(
                    f"Tollgate failed: give an administrator {self.admitted.uid}."
                )
            )

    async def _work(self, send: Send) -> _Tail:
        """Everything but the end of the answer, which is returned."""
        try:
            answer = await self.upstreams.send(
                Place(
                    self.admitted.url,
                    self.admitted.timeout_seconds,
                    self.admitted.headers,
                ),
                "POST",
                _PATH,
                self.request.sent_as(self.admitted.upstream_model),
                **self.headers,
            )
        except TollgateError as error:
            self._outcome = Outcome.FAILED
            return self._refusal(error)
        try:
            return await self._answered(answer, send)
        finally:
            answer.close()

    async def _answered(self, answer: Answer, send: Send) -> _Tail:
        self._status = answer.status
        self._first = time.monotonic() - self._began
        if answer.status >= 400:
            self._outcome = Outcome.FAILED
            return await self._error_of(answer)
        kind = answer.headers.get("content-type", "")
        if self.request.stream and kind.startswith("text/event-stream"):
            return await self._streamed(answer, send)
        return await self._whole(answer)

    async def _error_of(self, answer: Answer) -> _Tail:
        """The server's own error, but never what Tollgate is known by there."""
        if answer.status in (401, 403):
            return self._refusal(
                UpstreamAway(
                    "The model server refused Tollgate's credentials: tell an "
                    "administrator to enter them again."
                )
            )
        try:
            content = await _read(answer, _MOST_ERROR_BYTES)
        except TollgateError as error:
            return self._refusal(error)
        for secret in _secrets(self.admitted.headers):
            content = content.replace(secret, b"[redacted]")
        return _Tail(content, answer.status, self._headers_of(answer))

    async def _whole(self, answer: Answer) -> _Tail:
        try:
            content = await _read(answer, MOST_WHOLE_BYTES)
        except TollgateError as error:
            self._outcome = Outcome.CUT_OFF
            self._said = Said()
            return self._refusal(error)
        self._outcome = Outcome.ANSWERED
        self._said = await in_thread(said_in, content)
        return _Tail(content, answer.status, self._headers_of(answer))

    async def _streamed(self, answer: Answer, send: Send) -> _Tail:
        follower = self._follower = Follower(strip=not self.request.wants_usage)
        await _start(send, answer.status, self._headers_of(answer))
        self._started = True
        try:
            async for part in answer.parts():
                if passed := follower.feed(part):
                    await send(_more(passed))
        except TooLong:
            error: TollgateError = UpstreamAway("An event of the answer is too long.")
            self._outcome = Outcome.CUT_OFF
            return _Tail(b"data: " + error_body(error) + b"\n\n")
        except TollgateError as problem:
            self._outcome = Outcome.CUT_OFF
            return _Tail(b"data: " + error_body(problem) + b"\n\n")
        self._outcome = Outcome.ANSWERED
        return _Tail(follower.rest())

    def _refusal(self, error: TollgateError) -> _Tail:
        headers = {"content-type": "application/json", **error_headers(error)}
        return _Tail(error_body(error), status_of(error), self._named(headers))

    def _headers_of(self, answer: Answer) -> Mapping[str, str]:
        return self._named(
            {
                name: value
                for name, value in answer.headers.items()
                if name in _PASSED or name.startswith(_PASSED_PREFIXES)
            }
        )

    def _named(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        return {
            **headers,
            "cache-control": "no-store",
            "x-tollgate-request": self.admitted.uid,
        }

    async def _finish(self, send: Send, tail: _Tail) -> None:
        if not self._started:
            length = {"content-length": str(len(tail.content))}
            await _start(send, tail.status, {**tail.headers, **length})
        await send({"type": "http.response.body", "body": tail.content})

    async def _settle(self) -> None:
        """Book what was used. A request that cannot be booked now is found later."""
        try:
            await in_thread(self._book)
        except Exception:
            # The answer is there and was paid for: the client is not to lose it. The
            # request stays open, and is booked as it was estimated when it is swept.
            logger.exception("%s could not be booked", self.admitted.uid)

    def _book(self) -> None:
        usage, known = self._used()
        ending = Ending(
            outcome=self._outcome,
            status=self._status,
            first_seconds=self._first,
            seconds=time.monotonic() - self._began,
            usage=usage,
            known=known,
            answer=self._last.answer,
        )
        end(uid=self.admitted.uid, ending=ending, actor=self.actor, at=now())

    def _used(self) -> tuple[ModelUsage | None, str]:
        """The usage as the server says, else as far as it can be estimated."""
        if self._outcome == Outcome.FAILED:
            return None, ""
        said = self._last
        if said.usage is not None:
            return said.usage, UsageEvent.Known.MEASURED
        usage = ModelUsage(input=self.expected, output=tokens.count(said.text))
        return usage, UsageEvent.Known.ESTIMATED

    @property
    def _last(self) -> Said:
        if self._follower is not None:
            return self._follower.said
        return self._said or Said()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _read(answer: Answer, most: int) -> bytes:
    found = bytearray()
    async for part in answer.parts():
        found += part
        if len(found) > most:
            raise UpstreamAway(
                f"The model server's answer is longer than {most:,} bytes: ask for "
                "less, or for a stream."
            )
    return bytes(found)


def _secrets(headers: Mapping[str, str]) -> list[bytes]:
    """Header values, and the credential alone of such as ``Bearer abc``."""
    values = [
        part
        for value in headers.values()
        for part in (value, value.strip().rpartition(" ")[2])
    ]
    return [one.encode() for one in values if len(one) >= _SHORTEST_SECRET]


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    lines = [(k.encode(), v.encode("latin-1")) for k, v in headers.items()]
    start = {"type": "http.response.start", "status": status, "headers": lines}
    await send(start)


def _more(content: bytes) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": True}
