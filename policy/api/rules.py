"""REST endpoints of rules, their versions and drafts."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import generics
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from core.clock import now
from core.errors import Invalid
from policy import documents, rule_sets, scopes
from policy.access import POLICY_ADMIN, POLICY_READ
from policy.api import rule_serializers as shapes
from policy.api.permissions import OwnDraft, People
from policy.api.views import acting
from policy.models import PolicyDraft, PolicyVersion
from policy.rule_diff import Change, diff
from policy.rules import InvalidRules, parse_all
from policy.services import drafts
from policy.services import rules as versions

_WRITES = ("POST", "PUT", "DELETE")
READ_OR_WRITE = {"GET": scopes.POLICY_READ} | dict.fromkeys(
    _WRITES, scopes.POLICY_WRITE
)
READ_OR_ADMIN = {"GET": POLICY_READ} | dict.fromkeys(_WRITES, POLICY_ADMIN)


class ByNumber(CursorPagination):
    """Versions, newest first."""

    ordering = "-number"
    page_size = 50


class ByKey(CursorPagination):
    """Drafts, newest first."""

    ordering = "-pk"
    page_size = 50


def asked(request: Request, shape: type[Serializer[Any]]) -> dict[str, Any]:
    """The body, validated. Raises ValidationError."""
    wanted = shape(data=request.data)
    wanted.is_valid(raise_exception=True)
    found: dict[str, Any] = wanted.validated_data
    return found


def _changes(changes: tuple[Change, ...]) -> Response:
    return Response({"changes": [one.as_dict() for one in changes]})


class LiveRules(APIView):
    """The rules in force."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(responses=shapes.LiveSerializer)
    def get(self, request: Request) -> Response:
        """The live version with its rules."""
        live = versions.live()
        return Response(shapes.LiveSerializer(live).data)


class Export(APIView):
    """The rules in force as YAML."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(responses={(200, "application/yaml"): shapes.DocumentSerializer})
    def get(self, request: Request) -> HttpResponse:
        """The document that `manage.py policy export` writes."""
        live = versions.live()
        text = documents.write(live.rules, version=live.version)
        return HttpResponse(text, content_type="application/yaml; charset=utf-8")


class VersionList(generics.ListAPIView[PolicyVersion]):
    """Published versions, newest first."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ
    serializer_class = shapes.VersionSerializer
    pagination_class = ByNumber

    def get_queryset(self) -> QuerySet[PolicyVersion]:
        return rule_sets.versions()


class VersionDetail(APIView):
    """One version."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(responses=shapes.VersionDetailSerializer)
    def get(self, request: Request, number: int) -> Response:
        """A version with its rules."""
        found = rule_sets.version(number)
        return Response(shapes.VersionDetailSerializer(found).data)


class VersionDiff(APIView):
    """What a version changed."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(
        parameters=[OpenApiParameter("against", int, description="else its base")],
        responses=shapes.ChangesSerializer,
    )
    def get(self, request: Request, number: int) -> Response:
        """Rules added, removed and changed since the version before, or another."""
        found = rule_sets.version(number)
        text = request.query_params.get("against", str(number - 1))
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise Invalid("against: give the number of a version.")
        before = versions.rules_of_version(int(text))
        return _changes(diff(before, found.rules))


class Revert(APIView):
    """Goes back to a version."""

    permission_classes = [People]
    required_scope = ""
    capability = POLICY_ADMIN

    @extend_schema(
        request=shapes.ReasonSerializer, responses={201: shapes.DraftSerializer}
    )
    def post(self, request: Request, number: int) -> Response:
        """Publish an old version's rules as a new version, or propose them."""
        draft = drafts.revert(
            number=number,
            reason=asked(request, shapes.ReasonSerializer)["reason"],
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftSerializer(draft).data, status=201)


class DraftList(generics.ListAPIView[PolicyDraft]):
    """Drafts, newest first; POST begins one."""

    required_scope = READ_OR_WRITE
    capability = READ_OR_ADMIN
    serializer_class = shapes.DraftSerializer
    pagination_class = ByKey

    def get_queryset(self) -> QuerySet[PolicyDraft]:
        return rule_sets.drafts()

    @extend_schema(
        request=shapes.BeginSerializer, responses={201: shapes.DraftDetailSerializer}
    )
    def post(self, request: Request) -> Response:
        """Begin a draft on the live version."""
        wanted = asked(request, shapes.BeginSerializer)
        draft = drafts.begin(
            name=wanted["name"],
            rules=wanted.get("rules"),
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftDetailSerializer(draft).data, status=201)


class DraftDetail(APIView):
    """One draft; DELETE discards it."""

    permission_classes = [OwnDraft]
    required_scope = READ_OR_WRITE
    capability = READ_OR_ADMIN

    @extend_schema(responses=shapes.DraftDetailSerializer)
    def get(self, request: Request, uid: str) -> Response:
        """A draft with its rules."""
        return Response(shapes.DraftDetailSerializer(rule_sets.draft(uid)).data)

    @extend_schema(responses={200: shapes.DraftSerializer})
    def delete(self, request: Request, uid: str) -> Response:
        """Discard a draft."""
        draft = drafts.discard(uid=uid, actor=acting(request), at=now())
        return Response(shapes.DraftSerializer(draft).data)


class DraftRules(APIView):
    """All rules of a draft."""

    permission_classes = [OwnDraft]
    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(
        operation_id="policy_drafts_rules_replace",
        request=shapes.ReplaceSerializer,
        responses=shapes.DraftDetailSerializer,
    )
    def put(self, request: Request, uid: str) -> Response:
        """Replace all rules, from documents or from YAML."""
        wanted = asked(request, shapes.ReplaceSerializer)
        if ("rules" in wanted) == ("yaml" in wanted):
            raise Invalid("Give one of rules and yaml.")
        rules = wanted.get("rules")
        draft = drafts.replace_rules(
            uid=uid,
            rules=documents.read(wanted["yaml"]) if rules is None else rules,
            revision=wanted.get("revision"),
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftDetailSerializer(draft).data)


class DraftRule(APIView):
    """One rule of a draft."""

    permission_classes = [OwnDraft]
    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(
        request=shapes.RuleSerializer, responses=shapes.DraftDetailSerializer
    )
    def put(self, request: Request, uid: str, rule: str) -> Response:
        """Add, change or rename a rule."""
        wanted = asked(request, shapes.RuleSerializer)
        document = wanted["rule"]
        known = {one["id"] for one in rule_sets.draft(uid).rules}
        draft = drafts.set_rule(
            uid=uid,
            rule={"id": rule, **document},
            old_id=rule if rule in known else "",
            revision=wanted.get("revision"),
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftDetailSerializer(draft).data)

    @extend_schema(responses={200: shapes.DraftDetailSerializer})
    def delete(self, request: Request, uid: str, rule: str) -> Response:
        """Remove a rule."""
        draft = drafts.remove_rule(uid=uid, rule=rule, actor=acting(request), at=now())
        return Response(shapes.DraftDetailSerializer(draft).data)


class DraftDiff(APIView):
    """What a draft changes."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(responses=shapes.ChangesSerializer)
    def get(self, request: Request, uid: str) -> Response:
        """Rules added, removed and changed against the live version."""
        return _changes(versions.changes_of(rule_sets.draft(uid)))


class DraftPropose(APIView):
    """Proposes a draft."""

    permission_classes = [OwnDraft]
    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(request=shapes.ReasonSerializer, responses=shapes.DraftSerializer)
    def post(self, request: Request, uid: str) -> Response:
        """Ask another administrator to publish."""
        draft = versions.propose(
            uid=uid,
            reason=asked(request, shapes.ReasonSerializer)["reason"],
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftSerializer(draft).data)


class DraftPublish(APIView):
    """Publishes a draft."""

    permission_classes = [People]
    required_scope = ""
    capability = POLICY_ADMIN

    @extend_schema(
        request=shapes.PublishSerializer, responses={201: shapes.VersionSerializer}
    )
    def post(self, request: Request, uid: str) -> Response:
        """Make the draft the live rules, everywhere within two seconds."""
        wanted = asked(request, shapes.PublishSerializer)
        version = versions.publish(
            uid=uid,
            reason=wanted["reason"],
            revision=wanted.get("revision"),
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.VersionSerializer(version).data, status=201)


class DraftRebase(APIView):
    """Bases a draft on the live version."""

    permission_classes = [OwnDraft]
    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(
        request=shapes.RebaseSerializer, responses=shapes.DraftDetailSerializer
    )
    def post(self, request: Request, uid: str) -> Response:
        """Join the draft with what was published meanwhile; 409 names conflicts."""
        draft = drafts.rebase(
            uid=uid,
            take=asked(request, shapes.RebaseSerializer).get("take"),
            actor=acting(request),
            at=now(),
        )
        return Response(shapes.DraftDetailSerializer(draft).data)


class CheckRules(APIView):
    """Checks rules without keeping them."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(request=shapes.CheckSerializer, responses=shapes.ProblemsSerializer)
    def post(self, request: Request) -> Response:
        """Everything that is wrong with these rules, with rule and field."""
        try:
            parse_all(asked(request, shapes.CheckSerializer)["rules"])
        except InvalidRules as error:
            return Response({"problems": error.problems})
        return Response({"problems": []})


class PolicySettings(APIView):
    """Whether a second person has to publish."""

    permission_classes = [People]
    required_scope = ""
    capability = READ_OR_ADMIN

    @extend_schema(responses=shapes.PolicySettingsSerializer)
    def get(self, request: Request) -> Response:
        """The setting that holds."""
        return Response({"two_person_publish": versions.two_persons()})

    @extend_schema(
        request=shapes.PolicySettingsSerializer,
        responses=shapes.PolicySettingsSerializer,
    )
    def put(self, request: Request) -> Response:
        """Set it."""
        needed = asked(request, shapes.PolicySettingsSerializer)["two_person_publish"]
        versions.set_two_persons(needed=needed, actor=acting(request), at=now())
        return Response({"two_person_publish": needed})
