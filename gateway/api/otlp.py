"""OTLP/HTTP endpoint for traces: books the model usage in them."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from core.clock import now
from core.errors import Denied
from finops.models import UsageReport
from gateway.otlp import wire
from gateway.otlp.spans import usage_in
from gateway.services.model_usage import REFUSED, report_usage
from policy import scopes
from policy.access import COSTS_ADMIN
from policy.api.views import ApiRequest
from policy.principal import Principal

_MOST_REASONS = 5


class _AsAsked(BaseContentNegotiation):
    """The answer has the encoding of the request, whatever Accept says."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: Any = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


class OtlpTraces(APIView):
    """Takes traces for the model usage in them; other spans are no mistake."""

    required_scope = scopes.COSTS_WRITE
    capability = COSTS_ADMIN
    content_negotiation_class = _AsAsked

    @extend_schema(
        request={
            wire.PROTOBUF: OpenApiTypes.BINARY,
            wire.JSON: OpenApiTypes.OBJECT,
        },
        responses={
            (200, wire.PROTOBUF): OpenApiTypes.BINARY,
            (200, wire.JSON): OpenApiTypes.OBJECT,
        },
    )
    def post(self, request: ApiRequest) -> HttpResponse:
        """Book what spans with `gen_ai.usage.*` say, each span once."""
        if not isinstance(request.auth, Principal):
            raise Denied(
                "Traces are sent by a service account: send one of its keys with the "
                f"scope {scopes.COSTS_WRITE}."
            )
        form = wire.form_of(request.headers.get("Content-Type", ""))
        if form is None:
            raise wire.UnknownEncoding(f"Send {wire.PROTOBUF} or {wire.JSON}.")
        packed = request._request.read(wire.MOST_SENT_BYTES + 1)
        encoding = request.headers.get("Content-Encoding", "")
        found = usage_in(wire.request_in(wire.unpacked(packed, encoding), form))
        results = report_usage(
            principal=request.auth,
            told=found.told,
            source=UsageReport.Source.OTLP,
            at=now(),
            unfit=len(found.refused),
        )
        refused = [*found.refused]
        refused += [
            one.error.message
            for one in results
            if one.result == REFUSED and one.error is not None
        ]
        return HttpResponse(
            form.answer(rejected=len(refused), message=_reasons(refused)),
            content_type=form.content_type,
        )

    def handle_exception(self, exc: Exception) -> Any:
        """Every refusal as a google.rpc.Status."""
        response = super().handle_exception(exc)
        error = (response.data or {}).get("error", {})
        request: Request = self.request
        form = wire.form_of(request.headers.get("Content-Type", ""))
        form = form or wire.Form(wire.JSON)
        headers = {
            name: response[name]
            for name in ("WWW-Authenticate", "Retry-After", "Allow")
            if name in response
        }
        return HttpResponse(
            form.refusal(response.status_code, str(error.get("message", ""))),
            status=response.status_code,
            content_type=form.content_type,
            headers=headers,
        )


def _reasons(refused: list[str]) -> str:
    different = list(dict.fromkeys(refused))
    more = len(different) - _MOST_REASONS
    shown = different[:_MOST_REASONS] + ([f"and {more} more"] if more > 0 else [])
    return "; ".join(shown)
