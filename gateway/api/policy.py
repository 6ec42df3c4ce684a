"""REST endpoints that explain decisions and replay drafts over recorded calls."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.web import Rights
from core.clock import now
from core.errors import Invalid
from gateway.api import policy_serializers as shapes
from gateway.models import PolicyReplay
from gateway.selectors.rule_hits import rule_hits
from gateway.services import explain, policy_replay
from policy import rule_sets, scopes
from policy.access import POLICY_ADMIN, POLICY_READ, RUNS_READ
from policy.api.rules import asked
from policy.api.views import acting
from policy.compiled import RuleSet
from policy.rules import parse_all

_MOST_DAYS = 90


class ApiRequest(Request):
    """A request once HasScope has let it in."""

    rights: Rights


class Explain(APIView):
    """Why a call would be allowed, asked for or denied."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(
        request=shapes.QuestionSerializer, responses=shapes.ExplanationSerializer
    )
    def post(self, request: ApiRequest) -> Response:
        """Every rule considered, which won, grants, scope, quotas, who has to agree.

        Give `run` and `step` of a recorded call, or `tool` with `arguments` and who
        calls: a `key` by its prefix, or a `team` and an `environment`. With `draft`
        or `rules` these hold instead of the live ones. Nothing is called or counted.
        """
        wanted = asked(request, shapes.QuestionSerializer)
        found = explain.explain(_question(request.rights, wanted))
        return Response(shapes.shown(found))


def _question(rights: Rights, wanted: dict[str, Any]) -> explain.Question:
    rules = _rules(wanted)
    if wanted.get("run"):
        call = explain.recorded_call(
            rights, run=wanted["run"], step=wanted.get("step", 1)
        )
        return explain.question_of(call, rules=rules)
    if not wanted.get("tool"):
        raise Invalid("Give a tool, or run and step of a recorded call.")
    if wanted.get("key"):
        principal = explain.key_holder(rights, wanted["key"])
    elif wanted.get("team") and wanted.get("environment"):
        principal = explain.anybody(
            rights,
            team=wanted["team"],
            environment=wanted["environment"],
            scopes=wanted["scopes"],
            roles=wanted["roles"],
        )
    else:
        raise Invalid("Say who calls: a key, or a team and an environment.")
    return explain.Question(
        principal=principal,
        tool=wanted["tool"],
        arguments=wanted["arguments"],
        at=wanted.get("at") or now(),
        mode=wanted["mode"],
        language=wanted["language"],
        made=wanted["calls_made"],
        rules=rules,
        model=wanted["model"],
        gvisor=wanted["gvisor"],
    )


def _rules(wanted: dict[str, Any]) -> RuleSet | None:
    if wanted.get("draft"):
        draft = rule_sets.draft(wanted["draft"])
        return RuleSet(parse_all(draft.rules), version=draft.base)
    if wanted.get("rules") is not None:
        return RuleSet(parse_all(wanted["rules"]), version=0)
    return None


class Replay(APIView):
    """Runs a draft over recorded calls."""

    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(
        request=shapes.AskReplaySerializer,
        responses={200: shapes.ReplaySerializer, 202: shapes.ReplaySerializer},
    )
    def post(self, request: ApiRequest, uid: str) -> Response:
        """How many decisions would change, which, and for whom.

        Up to 5,000 calls are replayed at once; more by a task (202): ask for the
        replay until its state is done.
        """
        wanted = asked(request, shapes.AskReplaySerializer)
        replay = policy_replay.ask(
            draft=uid,
            days=wanted["days"],
            most_calls=wanted["most_calls"],
            teams=request.rights.teams_for(RUNS_READ),
            actor=acting(request),
            at=now(),
        )
        waits = replay.state in (PolicyReplay.State.QUEUED, PolicyReplay.State.RUNNING)
        return Response(
            shapes.ReplaySerializer(replay).data, status=202 if waits else 200
        )


class ReplayDetail(APIView):
    """A replay that was asked for."""

    required_scope = scopes.POLICY_WRITE
    capability = POLICY_ADMIN

    @extend_schema(responses=shapes.ReplaySerializer)
    def get(self, request: ApiRequest, uid: str) -> Response:
        """Its state, how many calls it has looked at, and the result once done."""
        found = policy_replay.replay_for(request.rights, uid)
        return Response(shapes.ReplaySerializer(found).data)


class RuleHits(APIView):
    """How often each rule had a say."""

    required_scope = scopes.POLICY_READ
    capability = POLICY_READ

    @extend_schema(
        parameters=[OpenApiParameter("days", int, description="1 to 90, else 7")],
        responses=shapes.HitsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Calls by rule: `applied` for enforced rules, `would` for monitored ones."""
        text = request.query_params.get("days", "7")
        days = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 0
        if not 1 <= days <= _MOST_DAYS:
            raise Invalid(f"days: choose 1 to {_MOST_DAYS}.")
        hits = rule_hits(since=now() - timedelta(days=days))
        return Response(
            {
                "days": days,
                "rules": [
                    {
                        "rule": rule,
                        "applied": found.applied,
                        "would": found.would,
                        "last_at": found.last_at,
                    }
                    for rule, found in sorted(hits.items())
                ],
            }
        )
