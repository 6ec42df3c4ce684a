"""Replays a draft of the rules over recorded calls: what would it have decided?

Each call is decided on twice by the same function, by the live rules and by the
draft's, with tools, grants and roles as they are now. Nothing is called or changed.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from audit.actor import Actor
from audit.services.record import record
from audit.web import Rights
from core.clock import now
from core.errors import Invalid, NotFound
from core.ids import new_id
from core.jobs import enqueue
from core.models import Revision, revisions
from gateway import events
from gateway.catalog import Catalog, catalog_at
from gateway.models import PolicyReplay, Run, ToolCall
from gateway.policy_steps import Steps
from gateway.policy_tally import Change, Sums
from gateway.selectors.policy_replays import visible_replays
from gateway.services.deciding import principal_facts
from gateway.services.runs import principal_of
from policy.access import roles_of
from policy.compiled import RuleSet
from policy.decision import Decision, decide
from policy.facts import CallFacts, RunFacts, ToolFacts
from policy.rule import ALLOW
from policy.rule_sets import draft as draft_named
from policy.rules import parse_all
from policy.services.rules import draft_target, live_rules
from policy.uncertain import CUT, is_certain, uncertain_rules

MOST_DAYS = 90
MOST_CALLS = 200_000
AT_ONCE = 5_000
"""As many calls as are replayed while somebody waits."""
_SECONDS_AT_ONCE = 10.0
_SECONDS_LONGEST = 300.0
_BATCH = 500
# A call made before another one has a higher key only if both were made about then.
_DISORDER = timedelta(hours=1)
State = PolicyReplay.State
# A call that was refused for one of these was never a matter of rules.
_BEFORE_RULES = ("catalog", "isolation", "scope", "environment", "grant", "way")


def ask(
    *,
    draft: str,
    days: int,
    most_calls: int = AT_ONCE,
    teams: frozenset[str] | None,
    actor: Actor,
    at: datetime,
) -> PolicyReplay:
    """Replay a draft over the calls of the last days, the newest first.

    Up to ``AT_ONCE`` calls at once, else by a task; ``teams`` bounds whose calls are
    looked at. Raises NotFound, Invalid.
    """
    if not 1 <= days <= MOST_DAYS or not 1 <= most_calls <= MOST_CALLS:
        raise Invalid(f"Choose 1 to {MOST_DAYS} days and 1 to {MOST_CALLS:,} calls.")
    found = draft_named(draft)
    with transaction.atomic():
        asked = PolicyReplay.objects.create(
            uid=new_id("rpl"),
            draft=found.uid,
            draft_revision=found.revision,
            live_version=live_rules().version,
            days=days,
            most_calls=most_calls,
            teams=None if teams is None else sorted(teams),
            rules=found.rules,
            asked_by=actor.id,
            asked_label=actor.label,
            asked_at=at,
        )
        record(
            events.POLICY_REPLAYED,
            actor=actor,
            at=at,
            target=draft_target(found),
            payload={"days": days, "most_calls": most_calls, "replay": asked.uid},
        )
        if most_calls > AT_ONCE:
            enqueue("gateway.replay_policy", replay=asked.uid)
            return asked
    return perform(uid=asked.uid, seconds=_SECONDS_AT_ONCE)


def perform(*, uid: str, seconds: float = _SECONDS_LONGEST) -> PolicyReplay:
    """Do a replay that was asked for; safe to call twice. Raises NotFound."""
    asked = PolicyReplay.objects.filter(uid=uid).first()
    if asked is None:
        raise NotFound("There is no such replay.")
    if asked.state in (State.DONE, State.FAILED):
        return asked
    asked.state, asked.alive_at = State.RUNNING, now()
    asked.save(update_fields=["state", "alive_at"])
    try:
        sums = _replayed(asked, seconds)
    except Exception:
        asked.state, asked.ended_at = State.FAILED, now()
        asked.save(update_fields=["state", "ended_at"])
        raise
    asked.state, asked.ended_at = State.DONE, now()
    asked.result = sums.as_dict()
    asked.save(update_fields=["state", "ended_at", "result"])
    return asked


def replay_for(rights: Rights, uid: str) -> PolicyReplay:
    """A replay over calls that one may see. Raises NotFound."""
    found = visible_replays(rights).filter(uid=uid).first()
    if found is None:
        raise NotFound("There is no such replay that you may see.")
    return found


def _replayed(asked: PolicyReplay, seconds: float) -> Sums:
    sums = Sums()
    deadline = time.monotonic() + seconds
    judge = _Judge(
        live_rules(),
        RuleSet(parse_all(asked.rules), version=asked.live_version),
        catalog_at(revisions().get(Revision.CATALOG, 0)),
    )
    for batch in _batches(asked):
        judge.learn(batch)
        for call in batch:
            judge.judge(call, sums)
        asked.examined, asked.reached_at = sums.examined, batch[-1].intent_at
        asked.alive_at = now()
        asked.save(update_fields=["examined", "reached_at", "alive_at"])
        if time.monotonic() > deadline:
            sums.stopped = f"after {seconds:.0f} seconds"
            break
    else:
        if sums.examined >= asked.most_calls:
            sums.stopped = f"after {asked.most_calls:,} calls"
    return sums


def _batches(asked: PolicyReplay) -> Iterator[list[ToolCall]]:
    """Calls of the last days, newest first.

    They are found by their key alone, which grows with the time but for calls made at
    the same time: no index is needed, and older calls are not read.
    """
    since = asked.asked_at - timedelta(days=asked.days)
    calls: QuerySet[ToolCall] = ToolCall.objects.all()
    if asked.teams is not None:
        calls = calls.filter(run__team__in=asked.teams)
    calls = calls.select_related("run").defer(
        "result", "error", "run__code", "run__value", "run__stdout", "run__error"
    )
    left, below = asked.most_calls, None
    while left > 0:
        part = calls if below is None else calls.filter(pk__lt=below)
        batch = list(part.order_by("-pk")[: min(_BATCH, left)])
        wanted = [call for call in batch if call.intent_at >= since]
        if wanted:
            yield wanted
        if not batch or batch[-1].intent_at < since - _DISORDER:
            return
        left, below = left - len(wanted), batch[-1].pk


@dataclass(slots=True)
class _Judge:
    """Decides on recorded calls by two rule sets."""

    live: RuleSet
    draft: RuleSet
    catalog: Catalog
    roles: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    steps: dict[int, Steps] = field(default_factory=dict)
    tools: dict[tuple[str, str], ToolFacts] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether a rule asks how many calls a run has made."""
        return any(
            one.rule.limits.calls_per_run is not None
            or (one.when is not None and "run" in one.when.variables)
            for rules in (self.live, self.draft)
            for one in rules.compiled
        )

    def learn(self, batch: Iterable[ToolCall]) -> None:
        """Read what the calls of a batch need beside themselves; one query at most."""
        if not self.counts:
            return
        runs = {call.run_id for call in batch}
        found: dict[int, list[tuple[int, ToolFacts]]] = {
            run: [] for run in runs - self.steps.keys()
        }
        rows = ToolCall.objects.filter(run__in=found, decision="allow").values_list(
            "run_id", "step", "tool", "effect"
        )
        for run, step, tool, effect in rows:
            found[run].append((step, self._tool(tool, effect)))
        # A run that goes over several batches is read once.
        kept = {run: self.steps[run] for run in runs & self.steps.keys()}
        self.steps = kept | {run: Steps(made) for run, made in found.items()}

    def judge(self, call: ToolCall, sums: Sums) -> None:
        """Add one call to the sums."""
        sums.examined += 1
        if call.outcome == ToolCall.Outcome.INVALID or any(
            reason.startswith(f"{word}: ")
            for reason in call.reasons
            for word in _BEFORE_RULES
        ):
            sums.unruled += 1
            return
        facts = self._facts(call)
        decisions = [decide(rules, facts) for rules in (self.live, self.draft)]
        doubts = [
            uncertain_rules(rules, facts, decision)
            for rules, decision in zip((self.live, self.draft), decisions, strict=True)
        ]
        before, after = decisions
        if all(map(is_certain, decisions, doubts)):
            if _comes_to_the_same(before, after):
                sums.same += 1
            else:
                sums.add_change(_change(call, before, after))
        elif moved := _moved(before, after, {*doubts[0], *doubts[1]}):
            sums.add_doubtful(_place(call), moved)
        else:
            sums.same += 1

    def _facts(self, call: ToolCall) -> CallFacts:
        run = call.run
        who = (run.submitted_by, run.team)
        if who not in self.roles:
            self.roles[who] = roles_of(*who)
        principal = replace(principal_of(run), roles=self.roles[who])
        arguments = call.arguments
        steps = self.steps.get(run.pk)
        made = {} if steps is None else steps.made_before(call.step)
        return CallFacts(
            tool=self._tool(call.tool, call.effect),
            principal=principal_facts(principal),
            run=RunFacts(run.uid, run.mode, run.language, made),
            # Hidden as a whole: the mark of something that was left out.
            arguments=arguments if isinstance(arguments, Mapping) else {CUT: arguments},
            at=call.intent_at,
            # It was covered when it was made, and rules are what is tried here.
            granted=True,
            enabled=True,
            scopes=("tools:*",),
        )

    def _tool(self, name: str, effect: str) -> ToolFacts:
        known = self.tools.get((name, effect))
        if known is None:
            tool = self.catalog.tools.get(name)
            known = self.tools[name, effect] = (
                ToolFacts(name, name.partition(".")[0], effect)
                if tool is None
                else tool.facts
            )
        return known


def _comes_to_the_same(before: Decision, after: Decision) -> bool:
    return before.effect == after.effect and _routes(before) == _routes(after)


def _moved(before: Decision, after: Decision, doubtful: set[str]) -> set[str]:
    """Rules of which only one set has this form, and that have or may have a say.

    What is the same in both sets says the same of a call, hidden values or not.
    """
    old = {one.rule.id: one for one in before.verdicts}
    new = {one.rule.id: one for one in after.verdicts}
    moved = set()
    for name in old.keys() | new.keys():
        was, becomes = old.get(name), new.get(name)
        if was and becomes and was.rule == becomes.rule:
            continue
        for one in (was, becomes):
            if one and one.rule.enforced:
                speaks = one.says or one.rule.effect == ALLOW or name in doubtful
                moved |= {name} if speaks else set()
    return moved


def _routes(decision: Decision) -> set[tuple[str, int]]:
    return {(str(route.to), route.quorum) for route in decision.routes}


def _change(call: ToolCall, before: Decision, after: Decision) -> Change:
    speaking = after if after.effect != "allow" else before
    return Change(
        **_place(call),
        before=_words(before),
        after=_words(after),
        reasons=tuple(
            reason for reason in speaking.reasons if reason.startswith("rule ")
        ),
        rules=speaking.applied,
        recorded=call.outcome or call.decision,
    )


def _words(decision: Decision) -> str:
    asked = sorted(f"{to} ({quorum})" for to, quorum in _routes(decision))
    return f"{decision.effect}: {', '.join(asked)}" if asked else decision.effect


def _place(call: ToolCall) -> dict[str, Any]:
    run: Run = call.run
    return {
        "call": call.pk,
        "run": run.uid,
        "step": call.step,
        "tool": call.tool,
        "team": run.team,
        "environment": run.environment,
        "principal": run.principal,
        "key": run.key,
        "at": call.intent_at.isoformat(),
    }
