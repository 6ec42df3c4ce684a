"""The ASGI application of /v1: who asks, what for, and the answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
from django.conf import settings

from core.clock import now
from core.errors import Denied, NotFound, TollgateError
from core.ids import new_id
from core.trace import trace_id_of
from gateway.codemode import tokens
from gateway.connectors.model_server import Upstreams
from gateway.mcp_server.auth import (
    address_of,
    authenticate,
    lacks,
    record_refusal,
)
from gateway.mcp_server.threads import in_thread
from gateway.passthrough import body
from gateway.passthrough.errors import error_body, error_headers, status_of
from gateway.passthrough.exchange import Exchange
from gateway.services import model_calls
from policy import scopes
from policy.principal import PERSON, Principal

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PREFIX = "/v1/"
CHAT, MODELS = "/v1/chat/completions", "/v1/models"
_TRACE_HEADERS: tuple[str, ...] = ("traceparent", "tracestate")
MOST_BODY_BYTES = 16 * 1024 * 1024


class Unauthorized(TollgateError):
    """No key, or none that is good."""

    code = "invalid_api_key"
    status = 401


class WrongMethod(TollgateError):
    """The address takes another method."""

    code = "method_not_allowed"
    status = 405


class TooLarge(TollgateError):
    """The request is longer than is read."""

    code = "too_large"
    status = 413


class ClientLeft(Exception):
    """Nobody is there to be answered."""


class ModelGateway:
    """Routes requests of OpenAI's protocol to the model servers."""

    def __init__(self) -> None:
        self._upstreams = Upstreams(private=settings.WEBHOOK_PRIVATE_HOSTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            exchange = await self._serve(scope, receive, send)
        except ClientLeft:
            return
        except TollgateError as error:
            await _refuse(send, error)
            return
        if exchange is not None:
            await exchange.run(receive, send)

    async def aclose(self) -> None:
        """Close what is connected."""
        await self._upstreams.aclose()

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send
    ) -> Exchange | None:
        """Answer what needs no model server; else the exchange that is admitted."""
        path = scope["path"].rstrip("/")
        wanted = "POST" if path == CHAT else "GET"
        if path not in (CHAT, MODELS) and not path.startswith(f"{MODELS}/"):
            raise NotFound(f"There is nothing here: use {CHAT} and {MODELS}.")
        if scope["method"] != wanted:
            raise WrongMethod(f"{path[:60]} takes {wanted}.")
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        principal = await _principal(scope, headers, f"{wanted} {path[:60]}")
        if path == CHAT:
            return await self._admitted(principal, headers, receive)
        await _list_models(principal, path.removeprefix(MODELS).strip("/"), send)
        return None

    async def _admitted(
        self, principal: Principal, headers: dict[str, str], receive: Receive
    ) -> Exchange:
        raw = await _body(receive)
        request, expected = await in_thread(_read, raw)
        wanted = model_calls.Wanted(
            model=request.model,
            stream=request.stream,
            expected=expected,
            most_output=request.most_output,
            run=headers.get("x-tollgate-run", "").strip(),
            task=headers.get("x-tollgate-task", "").strip(),
        )
        admitted = await in_thread(
            model_calls.admit, principal=principal, wanted=wanted, at=now()
        )
        passed: dict[str, str] = {
            name: headers[name]
            for name in _TRACE_HEADERS
            if principal.trace_id and name in headers
        }
        return Exchange(
            upstreams=self._upstreams,
            admitted=admitted,
            request=request,
            expected=expected,
            actor=principal.actor,
            headers=passed,
        )


def _read(raw: bytes) -> tuple[body.Request, int]:
    request = body.read(raw)
    return request, tokens.estimate(request.prompt)


async def _principal(scope: Scope, headers: dict[str, str], method: str) -> Principal:
    """Whose key it is, if it may ask models. Raises Unauthorized, Denied."""
    word, _, key = headers.get("authorization", "").partition(" ")
    if word.lower() != "bearer" or not key:
        raise Unauthorized("Send your Tollgate key as 'Authorization: Bearer tg_…'.")
    try:
        principal = await in_thread(
            authenticate,
            text=key.strip(),
            at=now(),
            address=address_of(scope),
            request_id=new_id("req"),
            trace_id=trace_id_of(headers.get("traceparent", "")),
        )
    except TollgateError as error:
        if error.status >= 500:
            raise
        raise Unauthorized(error.message) from None
    allowed = scopes.covers(principal.scopes, scopes.MODELS_USE)
    if not allowed or principal.kind == PERSON:
        await in_thread(record_refusal, principal, method, scopes.MODELS_USE)
        raise Denied(lacks(method, scopes.MODELS_USE))
    return principal


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BODY_BYTES:
            raise TooLarge("A request has at most 16 MiB: send less.")
        if not message.get("more_body"):
            return b"".join(parts)


async def _list_models(principal: Principal, name: str, send: Send) -> None:
    found = [
        {
            "id": model,
            "object": "model",
            "created": int(server.created_at.timestamp()),
            "owned_by": server.name,
        }
        for model, server in await in_thread(model_calls.offered, principal)
    ]
    answer: Any = {"object": "list", "data": found}
    if name:
        answer = next((one for one in found if one["id"] == name), None)
    if answer is None:
        raise model_calls.ModelUnknown(
            f"There is no model {name[:100]!r} that this key may ask: GET {MODELS}."
        )
    await _answer(send, 200, orjson.dumps(answer), {})


async def _refuse(send: Send, error: TollgateError) -> None:
    headers = dict(error_headers(error))
    if error.status == Unauthorized.status:
        headers["www-authenticate"] = "Bearer"
    await _answer(send, status_of(error), error_body(error), headers)


async def _answer(
    send: Send, status: int, content: bytes, headers: dict[str, str]
) -> None:
    lines = {
        "content-type": "application/json",
        "content-length": str(len(content)),
        "cache-control": "no-store",
        **headers,
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in lines.items()],
        }
    )
    await send({"type": "http.response.body", "body": content})
