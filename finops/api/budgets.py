"""REST endpoints of budgets."""

from dataclasses import replace
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.pagination import PageNumberPagination
from rest_framework.response import Response
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid
from finops.models import Budget
from finops.selectors import budgets as selectors
from finops.selectors.budgets import BudgetLine
from finops.services import budget_changes
from finops.services.budget_changes import Scope, Terms
from policy import scopes
from policy.access import COSTS_ADMIN, COSTS_READ
from policy.api.permissions import People
from policy.api.views import ApiRequest, acting
from policy.models import ApiKey, NotificationChannel, Project, Team

_PLAIN = (
    "name",
    "amount",
    "hard",
    "paused",
    "grace_amount",
    "grace_percent",
    "grace_until",
    "reserve",
)


class _Amount(serializers.DecimalField):
    """An amount in the organization's currency, as text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_digits=28, decimal_places=12, **kwargs)


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget with its present window; an empty scope means any."""

    budget = serializers.CharField(source="budget.uid")
    name = serializers.CharField(source="budget.name")
    scope = serializers.CharField(source="cover.scope")
    team = serializers.CharField(source="cover.team")
    project = serializers.CharField(source="cover.project")
    key = serializers.CharField(source="cover.key")
    model = serializers.CharField(source="cover.model")
    currency = serializers.CharField()
    amount = _Amount()
    spent = _Amount()
    held = _Amount()
    left = _Amount()
    hard = serializers.BooleanField(source="budget.hard")
    paused = serializers.BooleanField(source="budget.paused")
    limit = _Amount(
        allow_null=True, help_text="Where it stops, with its grace; null: nowhere."
    )
    thresholds = serializers.ListField(
        child=serializers.IntegerField(), source="budget.thresholds"
    )
    state = serializers.CharField(help_text="stopped, over, near, ok, paused or idle.")
    reserve = _Amount(source="budget.reserve", allow_null=True)
    expected = _Amount(source="budget.expected")
    forecast = _Amount(allow_null=True)
    forecast_low = _Amount(allow_null=True)
    forecast_high = _Amount(allow_null=True)
    forecast_note = serializers.CharField()
    window_start = serializers.DateTimeField(source="window.start", default=None)
    window_end = serializers.DateTimeField(source="window.end", default=None)
    version = serializers.IntegerField(source="budget.version")


class BudgetTermsSerializer(serializers.Serializer[Any]):
    """Other terms; what is not given stays as it is."""

    name = serializers.CharField(max_length=100, required=False)
    amount = _Amount(min_value=0, required=False)
    hard = serializers.BooleanField(required=False)
    paused = serializers.BooleanField(
        required=False, help_text="It counts on, refuses nothing and tells nobody."
    )
    thresholds = serializers.ListField(child=serializers.IntegerField(), required=False)
    grace_amount = _Amount(min_value=0, required=False, allow_null=True)
    grace_percent = serializers.DecimalField(
        max_digits=7, decimal_places=2, required=False, allow_null=True
    )
    grace_until = serializers.DateTimeField(required=False, allow_null=True)
    reserve = _Amount(min_value=0, required=False, allow_null=True)
    channels = serializers.ListField(
        child=serializers.CharField(max_length=100),
        required=False,
        help_text="Names of notification channels that are told as well.",
    )
    reason = serializers.CharField(max_length=400)


class BudgetRequestSerializer(BudgetTermsSerializer):
    """A new budget; ``project`` is team/project, ``key`` a key's prefix.

    Without ``first_day`` its windows are months.
    """

    name = serializers.CharField(max_length=100)
    amount = _Amount(min_value=0)
    team = serializers.CharField(max_length=40, default="", allow_blank=True)
    project = serializers.CharField(max_length=81, default="", allow_blank=True)
    key = serializers.CharField(max_length=11, default="", allow_blank=True)
    model = serializers.CharField(max_length=100, default="", allow_blank=True)
    first_day = serializers.DateField(required=False, allow_null=True)
    last_day = serializers.DateField(required=False, allow_null=True)
    every_days = serializers.IntegerField(required=False, allow_null=True)


class BudgetRemovalSerializer(serializers.Serializer[Any]):
    """Why a budget goes."""

    reason = serializers.CharField(max_length=400)


class Fullest(PageNumberPagination):
    """Pages of a list that is short, in the order that matters."""

    page_size = 50


class BudgetList(generics.GenericAPIView[Budget]):
    """Budgets in force that the caller may see, the fullest first."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ
    serializer_class = BudgetSerializer
    pagination_class = Fullest
    queryset = Budget.objects.none()
    request: ApiRequest

    @extend_schema(operation_id="budgets_list", responses=BudgetSerializer(many=True))
    def get(self, request: ApiRequest) -> Response:
        """Figures of the present windows; ``?team=`` filters."""
        budgets = selectors.visible_budgets(request.rights).filter(removed_at=None)
        if team := request.query_params.get("team"):
            budgets = selectors.of_team(budgets, team)
        shown = selectors.lines(budgets, at=now())
        page = self.paginate_queryset(shown)
        return self.get_paginated_response(BudgetSerializer(page, many=True).data)


class BudgetSet(APIView):
    """Sets a budget: for people, since a key would set its own team's."""

    permission_classes = [People]
    required_scope = ""
    capability = COSTS_ADMIN

    @extend_schema(request=BudgetRequestSerializer, responses={201: BudgetSerializer})
    def post(self, request: ApiRequest) -> Response:
        """Set a budget; what its window has cost already counts at once."""
        wanted = BudgetRequestSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values: dict[str, Any] = wanted.validated_data
        at = now()
        budget = budget_changes.set_budget(
            scope=_scope(values),
            terms=_terms(
                Terms(
                    name="",
                    amount=values["amount"],
                    first_day=values.get("first_day"),
                    last_day=values.get("last_day"),
                    every_days=values.get("every_days"),
                ),
                values,
            ),
            reason=values["reason"],
            actor=acting(request),
            at=at,
        )
        return Response(_shown(budget), status=201)


class BudgetDetail(APIView):
    """One budget with its present window."""

    required_scope = scopes.COSTS_READ
    capability = COSTS_READ

    @extend_schema(responses=BudgetSerializer)
    def get(self, request: ApiRequest, uid: str) -> Response:
        """Spent, held and forecast now."""
        return Response(_shown(selectors.budget_for(request.rights, uid)))


class BudgetChange(APIView):
    """Gives a budget other terms."""

    permission_classes = [People]
    required_scope = ""
    capability = COSTS_ADMIN

    @extend_schema(request=BudgetTermsSerializer, responses=BudgetSerializer)
    def post(self, request: ApiRequest, uid: str) -> Response:
        """In force at once; scope and days stay, and what is not sent."""
        budget = selectors.budget_for(request.rights, uid, COSTS_ADMIN)
        wanted = BudgetTermsSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        changed = budget_changes.change_budget(
            uid=budget.uid,
            terms=_terms(budget_changes.terms_of(budget), wanted.validated_data),
            reason=wanted.validated_data["reason"],
            actor=acting(request),
            at=now(),
        )
        return Response(_shown(changed))


class BudgetRemove(APIView):
    """Takes a budget out of force."""

    permission_classes = [People]
    required_scope = ""
    capability = COSTS_ADMIN

    @extend_schema(request=BudgetRemovalSerializer, responses={204: None})
    def post(self, request: ApiRequest, uid: str) -> Response:
        """Remove it, with the reason for the trail; its history stays."""
        budget = selectors.budget_for(request.rights, uid, COSTS_ADMIN)
        wanted = BudgetRemovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        budget_changes.remove_budget(
            uid=budget.uid, **wanted.validated_data, actor=acting(request), at=now()
        )
        return Response(status=204)


def _shown(budget: Budget) -> Any:
    line: BudgetLine = selectors.line_of(budget, at=now())
    return BudgetSerializer(line).data


def _terms(standing: Terms, values: dict[str, Any]) -> Terms:
    """The terms with what was sent in their place. Raises Invalid."""
    sent: dict[str, Any] = {name: values[name] for name in _PLAIN if name in values}
    if "thresholds" in values:
        sent["thresholds"] = tuple(values["thresholds"])
    if "channels" in values:
        found = {
            channel.name: channel
            for channel in NotificationChannel.objects.filter(
                name__in=values["channels"]
            )
        }
        if missing := sorted(set(values["channels"]) - set(found)):
            raise Invalid(f"There is no notification channel {missing[0]!r}.")
        sent["channels"] = tuple(found.values())
    return replace(standing, **sent)


def _scope(values: dict[str, Any]) -> Scope:
    """Whose cost counts. Raises Invalid."""
    team = project = key = None
    if slug := values["team"]:
        team = Team.objects.filter(slug=slug).first()
        if team is None:
            raise Invalid(f"There is no team {slug}.")
    if path := values["project"]:
        owner, _, name = path.rpartition("/")
        found = Project.objects.select_related("team").filter(slug=name)
        project = found.filter(team__slug=owner).first()
        if project is None:
            raise Invalid(f"There is no project {path}: write team/project.")
    if prefix := values["key"]:
        keys = ApiKey.objects.select_related("service_account__team")
        key = keys.filter(prefix=prefix).first()
        if key is None:
            raise Invalid(f"There is no key {prefix}.")
    return Scope(team=team, project=project, key=key, model=values["model"])
