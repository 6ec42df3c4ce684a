"""Explains a decision before anybody makes the call: every rule, and why.

It asks the function that decides on real calls, and changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from audit.web import Rights
from core.errors import NotFound
from core.models import Revision, revisions
from gateway.catalog import CatalogTool, Usable, sandboxing_for, usable_by
from gateway.codemode.validate import Validators, without_omitted
from gateway.models import ToolCall
from gateway.sandbox.errors import MESSAGES
from gateway.selectors.reach import through
from gateway.selectors.runs import run_for
from gateway.services import gate
from gateway.services.deciding import (
    NEEDS_GVISOR,
    NO_SUCH_TOOL,
    decided,
    facts_of_call,
    principal_facts,
)
from gateway.services.runs import acting
from policy import admission, scopes
from policy.compiled import RuleSet
from policy.decision import ALLOW, DENY, Decision
from policy.effective import Line, effective
from policy.facts import RunFacts
from policy.models import Environment, Quota
from policy.principal import Principal
from policy.quota_selectors import QuotaLine, lines, with_use
from policy.routing import Route
from policy.rule import Rule
from policy.sandbox import SCRIPT, Sandboxing
from policy.selectors import visible_keys, visible_team
from policy.services.keys import principal_of
from policy.uncertain import CUT, uncertain_rules
from policy.verdicts import Verdict

_validators = Validators()


@dataclass(frozen=True, slots=True)
class Question:
    """A call that somebody might make; ``made`` counts such calls of its run."""

    principal: Principal
    tool: str
    arguments: Mapping[str, Any]
    at: datetime
    mode: str = "script"
    language: str = "python"
    made: int = 0
    rules: RuleSet | None = None
    """A draft's; None: the live ones."""
    model: str = ""
    gvisor: bool = True
    """Whether the script has a kernel of its own."""


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule and what became of it. ``won`` rules made the decision what it is."""

    rule: Rule
    selected: bool
    says: str
    why: str
    error: bool = False
    won: bool = False

    def as_dict(self) -> dict[str, Any]:
        rule = self.rule
        return {
            "rule": rule.id,
            "title": rule.title,
            "effect": rule.effect,
            "mode": rule.mode,
            "enabled": rule.enabled,
            "selected": self.selected,
            "says": self.says,
            "why": self.why,
            "error": self.error,
            "won": self.won,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a call would be allowed, asked for or denied."""

    effect: str
    decision: Decision
    policy_version: int
    policy_revision: int
    known: bool = True
    """Whether there is such a tool; of one that there is not nothing else is asked."""
    rules: tuple[Considered, ...] = ()
    granted_through: tuple[str, ...] = ()
    scope: str = ""
    """The scope of the key that covers the tool; empty: none does."""
    environments: tuple[str, ...] = ()
    enabled: bool = False
    """Whether the tool is offered in the environment of the call."""
    routes: tuple[Route, ...] = ()
    quotas: tuple[QuotaLine, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with the arguments by the tool's schema."""
    needs_gvisor: bool = False
    """Whether only scripts in gVisor may call the tool."""
    refused: str = ""
    """Why no such run is made or may call the tool, whatever rules say of the call."""
    sandbox: tuple[Line, ...] = ()
    """What somebody set for runs of this principal."""
    later: tuple[str, ...] = ()
    """Rules that would look at the result."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """As the tool would be given them."""
    uncertain: tuple[str, ...] = ()
    """Rules that read an argument which is redacted here: of them nothing is known."""


def explain(question: Question) -> Explanation:
    """Everything that has a say in one call; some queries, and no change."""
    principal = question.principal
    usable = usable_by(principal)
    rules = usable.rules if question.rules is None else question.rules
    tool = usable.catalog.tools.get(question.tool)
    if tool is None:
        decision = Decision(DENY, (NO_SUCH_TOOL,), rules.version)
        revision = revisions().get(Revision.POLICY, 0)
        return Explanation(DENY, decision, rules.version, revision, known=False)
    arguments = without_omitted(tool.definition, dict(question.arguments))
    call = facts_of_call(
        usable,
        principal=principal,
        tool=tool,
        run=_run(question, tool),
        arguments=arguments,
        at=question.at,
    )
    decision = decided(usable, principal, tool, call, rules=rules)
    sandboxing = sandboxing_for(principal, usable.policy_revision)
    refused = _refused(question, sandboxing)
    denied = decision.denied or bool(refused)
    routes = () if denied else gate.demands(tool, decision.routes)
    return Explanation(
        effect=DENY if denied else "require_approval" if routes else decision.effect,
        decision=decision,
        policy_version=rules.version,
        policy_revision=usable.policy_revision,
        rules=tuple(_considered(rules, principal, tool, decision)),
        granted_through=tuple(through(usable.held, tool)),
        scope=_scope(principal, tool),
        environments=tuple(sorted(tool.environments)),
        enabled=call.enabled,
        routes=routes,
        quotas=_quotas(usable, principal, tool, question.at),
        problems=tuple(map(str, _validators.check(tool.definition, arguments))),
        needs_gvisor=sandboxing.needs_gvisor(tool.full_name),
        refused=refused,
        sandbox=tuple(one for one in effective(sandboxing.rules) if one.set_by),
        later=tuple(rule.id for rule in decision.later),
        arguments=arguments,
        uncertain=uncertain_rules(rules, call, decision),
    )


def _refused(question: Question, sandboxing: Sandboxing) -> str:
    """What is asked before rules are; the way of calling is part of the decision."""
    script, rules = question.mode == SCRIPT, sandboxing.rules
    error = admission.language_refusal(rules, question.language if script else "")
    if error := error or admission.model_refusal(rules, question.model):
        return error.message
    if question.gvisor or not script:
        return ""
    if sandboxing.require_gvisor:
        return MESSAGES["gvisor_required"]
    return NEEDS_GVISOR if sandboxing.needs_gvisor(question.tool) else ""


def _run(question: Question, tool: CatalogTool) -> RunFacts:
    made = {tool.facts: question.made} if question.made else {}
    return RunFacts("", question.mode, question.language, made)


def _considered(
    rules: RuleSet, principal: Principal, tool: CatalogTool, decision: Decision
) -> list[Considered]:
    """Every rule of the set: those that had a say first, then by id."""
    verdicts = {one.rule.id: one for one in decision.verdicts}
    compiled = {one.rule.id: one for one in rules.compiled}
    facts, who = tool.facts, principal_facts(principal)
    found = []
    for rule in rules.rules:
        if rule.id in verdicts:
            found.append(_selected(verdicts[rule.id], decision))
        elif not rule.enabled:
            found.append(Considered(rule, False, "", "it is switched off"))
        else:
            why = compiled[rule.id].mismatch(facts, who)
            found.append(Considered(rule, False, "", why))
    return sorted(found, key=lambda one: (not one.won, not one.selected, one.rule.id))


def _selected(one: Verdict, decision: Decision) -> Considered:
    won = one.rule.enforced and one.rule.id in decision.applied
    return Considered(one.rule, True, one.says, one.why, one.error, won)


def _scope(principal: Principal, tool: CatalogTool) -> str:
    needed = f"tools:{tool.full_name}"
    covering = (one for one in principal.scopes if scopes.covers((one,), needed))
    return next(covering, "")


def _quotas(
    usable: Usable, principal: Principal, tool: CatalogTool, at: datetime
) -> tuple[QuotaLine, ...]:
    limits = usable.limits_of_call(principal.key_id, tool.full_name)
    if not limits:
        return ()
    rows = Quota.objects.filter(pk__in=[one.id for one in limits])
    rows = rows.select_related("team", "key", "environment")
    return tuple(lines(with_use(rows, at=at), at=at))


def key_holder(rights: Rights, prefix: str) -> Principal:
    """Who acts through a key of a team that one may see. Raises NotFound."""
    key = visible_keys(rights).filter(prefix=prefix).first()
    if key is None:
        raise NotFound("There is no key with this prefix that you may see.")
    return principal_of(key)


def anybody(
    rights: Rights,
    *,
    team: str,
    environment: str,
    scopes: Sequence[str] = ("tools:*",),
    roles: Sequence[str] = (),
) -> Principal:
    """A service account of a team that one may see, as it might be. Raises NotFound."""
    found = visible_team(rights, team)
    if not Environment.objects.filter(slug=environment).exists():
        raise NotFound(f"There is no environment {environment}.")
    return Principal(
        kind="service_account",
        id=f"sa:{found.slug}/any",
        label="any key of the team",
        team_id=found.pk,
        team=found.slug,
        cost_centre=found.cost_centre,
        project="",
        environment=environment,
        scopes=tuple(scopes),
        roles=tuple(roles),
    )


def recorded_call(rights: Rights, *, run: str, step: int) -> ToolCall:
    """A call of a run that one may see, with its run. Raises NotFound."""
    found = run_for(rights, run)
    call = found.calls.filter(step=step).select_related("run").first()
    if call is None:
        raise NotFound(f"Run {run} has no step {step}.")
    return call


def question_of(call: ToolCall, *, rules: RuleSet | None = None) -> Question:
    """A recorded call as a question, with what the journal has of its arguments."""
    run = call.run
    before = run.calls.filter(step__lt=call.step, tool=call.tool, decision=ALLOW)
    return Question(
        principal=acting(run),
        tool=call.tool,
        # Hidden as a whole: the mark of something that was left out.
        arguments=call.arguments
        if isinstance(call.arguments, dict)
        else {CUT: call.arguments},
        at=call.intent_at,
        mode=run.mode,
        language=run.language,
        made=before.count(),
        rules=rules,
        model=run.model,
        gvisor=NEEDS_GVISOR not in call.reasons,
    )
