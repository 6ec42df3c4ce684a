"""What the rest of the gateway and the connections to upstream servers exchange."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = Any

HEADER_META = "tollgate.headers"
"""A `_meta` entry that is not sent on: HTTP headers for this one request."""

UNREACHABLE = "upstream_unreachable"
TIMEOUT = "upstream_timeout"
PROTOCOL = "upstream_protocol"
AUTH = "upstream_auth"
RESULT_INVALID = "upstream_result_invalid"
RESULT_TOO_LARGE = "upstream_result_too_large"


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """How to reach one upstream server.

    `key` names the server and the revision of its configuration, as in `17:3`:
    a new revision replaces the connection of the old one.
    """

    key: str
    name: str
    transport: Literal["http", "stdio"]
    url: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class UpstreamTool:
    """One tool as its server describes it.

    `output_schema` describes the value that a call returns here: the
    `{"result": x}` wrapper of some servers is taken off both.
    """

    name: str
    title: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    annotations: dict[str, Any]
    meta: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RefusedTool:
    """A tool that was not imported, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What a server says of itself, with all its tools."""

    server_name: str
    server_version: str
    protocol: str
    instructions: str
    tools: tuple[UpstreamTool, ...]
    refused: tuple[RefusedTool, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one call: a value, or the text of the tool's own error."""

    value: JSON
    is_error: bool
    message: str
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a server answers, and what it said if it does not."""

    ok: bool
    protocol: str
    seconds: float
    message: str


class UpstreamError(Exception):
    """The server could not be asked, or its answer could not be used.

    `sent` is False only where the server certainly has not acted on the request.
    """

    def __init__(
        self, code: str, message: str, *, retryable: bool = False, sent: bool = False
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.sent = sent
