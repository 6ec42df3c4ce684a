"""REST endpoints of chargeback taken along: a month or a statement as a file."""

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from audit.web import actor_of, refuse
from core.clock import now
from finops.chargeback.months import named
from finops.selectors.chargeback import statement_for
from finops.services.chargeback_exports import (
    FORMS,
    STATEMENT_FORMS,
    TYPES,
    download_month,
    download_statement,
)
from policy import scopes
from policy.access import COSTS_READ
from policy.api.permissions import People
from policy.api.views import ApiRequest, acting


class ChargebackFile(APIView):
    """The statements of a month as a file; drafts where the month is open.

    It holds every team's costs, so keys, which are of one team, are refused.
    """

    permission_classes = [People]
    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "month", str, OpenApiParameter.PATH, description="YYYY-MM"
            ),
            OpenApiParameter("form", str, OpenApiParameter.PATH, enum=FORMS),
        ],
        responses={
            (200, kind): OpenApiTypes.BINARY
            for kind in sorted({kind for kind, _ in TYPES.values()})
        },
    )
    def get(self, request: Request, month: str, form: str) -> HttpResponseBase:
        """Only for those who see every team: auditors, finance, administrators."""
        if request.rights.teams_for(COSTS_READ) is not None:  # type: ignore[attr-defined]
            raise refuse(request._request, needed="the costs of every team")
        return download_month(
            month=named(month), form=form, actor=actor_of(request._request), at=now()
        )


class StatementFile(APIView):
    """One statement as PDF, CSV or JSON: of the caller's cost centres."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(
        parameters=[
            OpenApiParameter("form", str, OpenApiParameter.PATH, enum=STATEMENT_FORMS)
        ],
        responses={
            (200, kind): OpenApiTypes.BINARY
            for kind in sorted({TYPES[form][0] for form in STATEMENT_FORMS})
        },
    )
    def get(self, request: ApiRequest, uid: str, form: str) -> HttpResponseBase:
        """As it stands; what its digest covers is in the JSON."""
        return download_statement(
            statement=statement_for(request.rights, uid),
            form=form,
            actor=acting(request),
            at=now(),
        )
