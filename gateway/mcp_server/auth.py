"""Lets requests with a good key in, and says in the protocol's words why not.

Bearer errors follow RFC 6750, section 3: 401 ``invalid_token``, 403
``insufficient_scope`` with the scope that is needed.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from audit.services.record import DENY, record
from core.clock import now
from core.errors import Denied, TollgateError, Unavailable
from core.ids import new_id
from core.trace import trace_id_of
from gateway import events
from gateway.mcp_server.threads import in_thread
from policy import scopes
from policy.principal import PERSON, Principal
from policy.services import keys, personal_keys

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PRINCIPAL = "tollgate.principal"
_LONGEST_SESSION = 80
_MAX_BODY_BYTES = 4 * 1024 * 1024
NEEDED: Mapping[str, str] = {
    "search": scopes.CATALOG_READ,
    "get_schema": scopes.CATALOG_READ,
    "execute": scopes.RUNS_EXECUTE,
    "get_run": scopes.RUNS_READ,
    "report_usage": scopes.COSTS_WRITE,
}
# Methods of the protocol itself; all others need a good key and no more.
METHODS: Mapping[str, str] = {
    "tasks/get": scopes.RUNS_READ,
    "tasks/result": scopes.RUNS_READ,
    "tasks/list": scopes.RUNS_READ,
    "tasks/update": scopes.RUNS_EXECUTE,
    "tasks/cancel": scopes.RUNS_EXECUTE,
}
_UNAUTHORIZED, _FORBIDDEN = -32001, -32003
_PARSE, _INVALID, _INTERNAL = -32700, -32600, -32603


class _Unfit(Exception):
    """A body that is no message; the text goes to the client."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class KeyGuard:
    """ASGI middleware: puts the key's principal on the scope, or answers itself."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._guard(scope, receive, send)
        except Unavailable as error:
            await _answer(send, error.status, _INTERNAL, error.message, "")

    async def _guard(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        word, _, key = (
            headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        )
        if word.lower() != "bearer" or not key:
            await _answer(
                send,
                401,
                _UNAUTHORIZED,
                "Send your Tollgate key as 'Authorization: Bearer tg_…'.",
                "Bearer",
            )
            return
        try:
            principal = await in_thread(
                authenticate,
                text=key.strip(),
                at=now(),
                address=address_of(scope),
                request_id=new_id("req"),
                trace_id=trace_id_of(
                    headers.get(b"traceparent", b"").decode("latin-1")
                ),
            )
        except Unavailable:
            raise
        except TollgateError as error:
            await _answer(
                send, 401, _UNAUTHORIZED, error.message, 'Bearer error="invalid_token"'
            )
            return
        scope[PRINCIPAL] = replace(principal, session=_session(headers))
        await self._authorized(scope, receive, send, principal)

    async def _authorized(
        self, scope: Scope, receive: Receive, send: Send, principal: Principal
    ) -> None:
        if scope["method"] != "POST":
            # Nothing is ever sent unasked, so a stream to listen on is not offered.
            await _answer(
                send, 405, _INVALID, "Send every message with POST.", "", allow=b"POST"
            )
            return
        body = await _body(receive)
        try:
            method, needed = _needs(body)
        except _Unfit as error:
            await _answer(send, error.status, error.code, str(error), "")
            return
        if needed and not scopes.covers(principal.scopes, needed):
            await in_thread(record_refusal, principal, method, needed)
            await _answer(
                send,
                403,
                _FORBIDDEN,
                lacks(method, needed),
                f'Bearer error="insufficient_scope", scope="{needed}"',
            )
            return
        await self.app(scope, _again(body, receive), send)


def authenticate(
    *, text: str, at: datetime, address: str, request_id: str, trace_id: str
) -> Principal:
    """Whose key it is. Raises KeyRefused."""
    personal = text.startswith(personal_keys.PREFIX)
    known = personal_keys.authenticate if personal else keys.authenticate
    return known(
        text=text, at=at, address=address, request_id=request_id, trace_id=trace_id
    )


def _session(headers: Mapping[bytes, bytes]) -> str:
    """The session that an older client names, though it was never given one."""
    named = headers.get(b"mcp-session-id", b"").decode("latin-1")
    return named if named.isprintable() and len(named) <= _LONGEST_SESSION else ""


def address_of(scope: Scope) -> str:
    """Where the request came from; empty where that is no address."""
    client = scope.get("client")
    try:
        return str(ipaddress.ip_address(client[0])) if client else ""
    except ValueError:
        return ""


async def _body(receive: Receive) -> bytes:
    """The request's body, read no further than the limit."""
    parts, size = [], 0
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if not message.get("more_body") or size > _MAX_BODY_BYTES:
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replay() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def _needs(body: bytes) -> tuple[str, str]:
    """The method as people name it, and the scope it needs; empty where none.

    Raises _Unfit for what is not one message in JSON: were it passed on, a more
    generous parser could find a call in it that was not checked here.
    """
    if len(body) > _MAX_BODY_BYTES:
        raise _Unfit(413, _INVALID, "A message has at most 4 MiB: send less.")
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _Unfit(
            400, _PARSE, f"The message is not JSON in UTF-8: {error}"
        ) from None
    if not isinstance(message, Mapping):
        raise _Unfit(
            400, _INVALID, "Send one JSON-RPC message at a time; batches are not taken."
        )
    method = message.get("method")
    if method != "tools/call":
        return str(method), METHODS.get(method, "") if isinstance(method, str) else ""
    params = message.get("params")
    name = params.get("name") if isinstance(params, Mapping) else None
    return str(name), NEEDED.get(name, "") if isinstance(name, str) else ""


def principal_of(ctx: Any) -> Principal:
    """Whom KeyGuard has let in with this request."""
    principal: Principal = ctx.request.scope[PRINCIPAL]
    return principal


async def check_scope(principal: Principal, name: str) -> None:
    """Refuse a tool or method for which the key lacks the scope. Raises Denied.

    A person's own key runs nothing, so that who decides is never who asks.

    KeyGuard has said so already, with the status that the protocol asks for. This one
    reads the same name that is about to be called.
    """
    needed = NEEDED.get(name) or METHODS.get(name, "")
    if not needed and principal.kind == PERSON:
        needed = f"tools:{name[:200]}"
    if needed and not scopes.covers(principal.scopes, needed):
        await in_thread(record_refusal, principal, name, needed)
        raise Denied(lacks(name, needed))


def lacks(method: str, needed: str) -> str:
    """What is said to a key that lacks a scope."""
    return (
        f"This key lacks the scope {needed}, which {method} needs. Ask an "
        "administrator for a key that has it."
    )


def record_refusal(principal: Principal, method: str, needed: str) -> None:
    """Put on record that a key lacks a scope."""
    record(
        events.SCOPE_REFUSED,
        actor=principal.actor,
        at=now(),
        decision=DENY,
        reasons=[f"scope: no scope of the key covers {needed}"],
        payload={"needed": needed, "method": method},
    )


async def _answer(
    send: Send,
    status: int,
    code: int,
    message: str,
    challenge: str,
    *,
    allow: bytes = b"",
) -> None:
    body = orjson.dumps(
        {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    )
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if challenge:
        headers.append((b"www-authenticate", challenge.encode()))
    if allow:
        headers.append((b"allow", allow))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
