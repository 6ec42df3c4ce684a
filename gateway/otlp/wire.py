"""OTLP/HTTP 1.5 as bytes: requests in JSON or protobuf, answers in the same."""

import base64
import zlib
from dataclasses import dataclass
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError, EncodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from core.errors import TollgateError

JSON, PROTOBUF = "application/json", "application/x-protobuf"
MOST_SENT_BYTES = 4 * 1024 * 1024
MOST_BYTES = 16 * 1024 * 1024
# OTLP's JSON has these in hexadecimal, where protobuf's own JSON has base64.
_IDS = ("traceId", "spanId", "parentSpanId")
# google.rpc.Code, by HTTP status.
_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
_INTERNAL = 13


class Unreadable(TollgateError):
    """The body is no request; sending it again is of no use."""

    code = "unreadable"
    status = 400


class TooLarge(TollgateError):
    """The body is longer than is read."""

    code = "too_large"
    status = 413


class UnknownEncoding(TollgateError):
    """The body is neither JSON nor protobuf, or packed in an unknown way."""

    code = "unknown_encoding"
    status = 415


@dataclass(frozen=True, slots=True)
class Form:
    """The encoding of a request, which its answer has too."""

    content_type: str

    def answer(self, *, rejected: int, message: str) -> bytes:
        """An ExportTraceServiceResponse; a message without rejections is a warning."""
        response = ExportTraceServiceResponse()
        if rejected or message:
            response.partial_success.CopyFrom(
                ExportTracePartialSuccess(
                    rejected_spans=rejected, error_message=message
                )
            )
        if self.content_type == PROTOBUF:
            return bytes(response.SerializeToString())
        return orjson.dumps(json_format.MessageToDict(response))

    def refusal(self, status: int, message: str) -> bytes:
        """A google.rpc.Status, as OTLP/HTTP asks for with every 4xx and 5xx."""
        code = _CODES.get(status, _INTERNAL)
        if self.content_type != PROTOBUF:
            return orjson.dumps({"code": code, "message": message})
        text = message.encode()[:8_000].decode(errors="ignore").encode()
        return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def form_of(content_type: str) -> Form | None:
    """The encoding that a Content-Type header names; None for others."""
    name = content_type.partition(";")[0].strip().lower()
    return Form(name) if name in (JSON, PROTOBUF) else None


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body as it was before it was packed. Raises TooLarge, Unreadable."""
    if len(body) > MOST_SENT_BYTES:
        raise TooLarge("A request has at most 4 MiB: export smaller batches.")
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return body
    if name != "gzip":
        raise UnknownEncoding(f"Content-Encoding {name[:40]!r} is not taken: use gzip.")
    reader = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        found = reader.decompress(body, MOST_BYTES)
    except zlib.error:
        raise Unreadable("The body is no gzip.") from None
    if reader.unconsumed_tail:
        raise TooLarge("A request has at most 16 MiB unpacked: export smaller batches.")
    if not reader.eof:
        raise Unreadable("The gzip ends too early.")
    return found


def request_in(body: bytes, form: Form) -> ExportTraceServiceRequest:
    """The request in a body. Raises Unreadable."""
    request = ExportTraceServiceRequest()
    try:
        if form.content_type == PROTOBUF:
            request.ParseFromString(body)
        else:
            given = _with_base64(orjson.loads(body))
            json_format.ParseDict(given, request, ignore_unknown_fields=True)
    except (
        orjson.JSONDecodeError,
        json_format.ParseError,
        DecodeError,
        EncodeError,
        AttributeError,
        TypeError,
        ValueError,
        RecursionError,
    ) as error:
        raise Unreadable(
            f"The body is no ExportTraceServiceRequest: {str(error)[:200]}"
        ) from None
    return request


def _with_base64(given: Any) -> Any:
    if not isinstance(given, dict):
        raise TypeError("it is no object")
    for span in _spans(given):
        for name in _IDS:
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        for link in span.get("links") or ():
            for name in _IDS[:2]:
                if name in link:
                    link[name] = base64.b64encode(bytes.fromhex(link[name])).decode()
    return given


def _spans(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        span
        for resource in given.get("resourceSpans") or ()
        for scope in resource.get("scopeSpans") or ()
        for span in scope.get("spans") or ()
    ]


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))
