"""Ends what takes too long, and makes every failure an UpstreamError."""

import asyncio
from types import TracebackType
from typing import Self

from mcp.shared.exceptions import MCPError
from mcp_types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
)
from pydantic import ValidationError

from gateway.connectors.api import (
    PROTOCOL,
    RESULT_INVALID,
    TIMEOUT,
    ServerSpec,
    UpstreamError,
)
from gateway.connectors.redaction import Redactor
from gateway.connectors.wire import SessionLost

# The server has looked at the request and turned it down.
_NOT_ACTED_ON = frozenset(
    {METHOD_NOT_FOUND, INVALID_PARAMS, INVALID_REQUEST, HEADER_MISMATCH}
)


class Faults:
    """Says what went wrong with one server, without its secrets."""

    def __init__(self, spec: ServerSpec) -> None:
        self.name = spec.name
        self.redact = Redactor(spec)

    def explain(self, error: BaseException, *, sent: bool) -> UpstreamError:
        """The failure in our words. `sent`: the request may have gone out."""
        name = self.name
        if isinstance(error, BaseExceptionGroup):
            return self.explain(error.exceptions[0], sent=sent)
        if isinstance(error, SessionLost):
            return self.explain(error.error, sent=False)
        if isinstance(error, UpstreamError):
            text = self.redact(error.message)
            return UpstreamError(
                error.code, text, retryable=error.retryable, sent=error.sent
            )
        if isinstance(error, TimeoutError):
            text = f"Server {name!r} did not answer in time while connecting."
            return UpstreamError(TIMEOUT, text, retryable=True, sent=sent)
        if isinstance(error, MCPError):
            if error.code == REQUEST_TIMEOUT:
                text = f"Server {name!r} did not answer in time."
                return UpstreamError(TIMEOUT, text, retryable=True, sent=sent)
            text = self.redact(f"Server {name!r} refused: {error.message}")
            acted = sent and error.code not in _NOT_ACTED_ON
            return UpstreamError(PROTOCOL, text, sent=acted)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            text = f"Server {name!r} sent an invalid result: {where}: {first['msg']}"
            return UpstreamError(RESULT_INVALID, self.redact(text), sent=sent)
        text = f"Server {name!r} could not be used: {type(error).__name__}: {error}"
        return UpstreamError(PROTOCOL, self.redact(text), sent=sent)


class Deadline:
    """A time limit around one piece of work with a server.

    Set `sent` as soon as the request may have gone out.
    """

    def __init__(self, faults: Faults, seconds: float, what: str) -> None:
        self._faults = faults
        self._seconds = seconds
        self._what = what
        self._timeout = asyncio.timeout(seconds)
        self.sent = False

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            raise UpstreamError(
                TIMEOUT,
                f"Server {self._faults.name!r} did not answer {self._what} "
                f"within {self._seconds:g} s.",
                retryable=True,
                sent=self.sent,
            ) from None
        if isinstance(error, Exception):
            raise self._faults.explain(error, sent=self.sent) from None
