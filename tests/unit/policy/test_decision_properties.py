"""What holds of every decision, for any rules and any call."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policy import documents as yaml_documents
from policy.compiled import RuleSet
from policy.decision import Decision, decide, for_record
from policy.facts import CallFacts, PrincipalFacts, RunFacts, ToolFacts
from policy.rules import Rule, as_dict, parse, parse_all
from tests.builders.policy import make_call

IDS = [f"rule-{number}" for number in range(12)]
# Rules are kept by id: before, among and after those of IDS.
ANYWHERE = st.sampled_from(["aa", "rule-5-b", "zz"])
STRICT = {"allow": 0, "require_approval": 1, "deny": 2}
NAMES = st.sampled_from(["a", "b", "shop", "sales", "*", "s*", "dev", "prod"])
SELECT = st.fixed_dictionaries(
    {},
    optional={
        "servers": st.lists(NAMES, min_size=1, max_size=2, unique=True),
        "tools": st.lists(st.sampled_from(["shop.a", "a.*"]), min_size=1, unique=True),
        "teams": st.lists(NAMES, min_size=1, max_size=2, unique=True),
        "environments": st.lists(NAMES, min_size=1, max_size=2, unique=True),
        "tags": st.lists(NAMES, min_size=1, max_size=1),
        "effects": st.lists(
            st.sampled_from(["read", "write"]), min_size=1, unique=True
        ),
    },
)
WHEN = st.sampled_from(
    ["", "true", "false", "args.n > 3", "args.missing == 1", 'args.to == "a@b.example"']
)
CHECK = st.sampled_from(
    [
        None,
        {"kind": "pii"},
        {"kind": "max_amount", "path": "n", "max": 5},
        {"kind": "email_domains", "allow": ["b.example"]},
        {"kind": "working_hours", "from": "00:00", "to": "12:00"},
    ]
)
OWN: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "deny": st.just({}),
    "allow": st.just({}),
    "require_approval": st.sampled_from(
        [{}, {"approve": {"role": "finance"}}, {"approve": {"group": "g", "quorum": 2}}]
    ),
    "redact": st.sampled_from(
        [
            {"redact": {"arguments": ["to"]}},
            {"redact": {"results": ["a[]"], "arguments": ["x.y"]}},
        ]
    ),
    "limit": st.sampled_from(
        [
            {"limit": {"argument_bytes": 20}},
            {"limit": {"items": {"args.l": 2}, "result_bytes": 5}},
            {"limit": {"calls_per_run": 1}},
        ]
    ),
}


@st.composite
def rules(draw: st.DrawFn, effects: tuple[str, ...] = tuple(OWN)) -> dict[str, Any]:
    effect = draw(st.sampled_from(effects))
    made = {
        "id": draw(st.sampled_from(IDS)),
        "effect": effect,
        "mode": draw(st.sampled_from(["enforce", "monitor"])),
        "enabled": draw(st.sampled_from([True, True, True, False])),
        "title": draw(st.sampled_from(["", "A title: 'x' #1", "no", "ja\u00e4\n"])),
        "message": draw(st.sampled_from(["", "Ask first."])),
        "select": draw(SELECT),
        "when": draw(WHEN),
        **draw(OWN[effect]),
    }
    if check := draw(CHECK):
        made["check"] = check
    return made


def _sets(effects: tuple[str, ...] = tuple(OWN)) -> st.SearchStrategy[list[Any]]:
    return st.lists(rules(effects), max_size=8, unique_by=lambda one: one["id"])


RULE_SETS = _sets()
TOOLS = st.builds(
    ToolFacts,
    st.sampled_from(["shop.a", "a.b"]),
    st.sampled_from(["shop", "a"]),
    st.sampled_from(["read", "write"]),
    st.lists(NAMES, max_size=2).map(tuple),
)
CALLS = st.builds(
    lambda arguments, tool, team, environment, made, **covered: make_call(
        arguments,
        tool=tool,
        principal=PrincipalFacts("sa:x", "service_account", "x", team, environment),
        run=RunFacts(made={tool: made}),
        **covered,
    ),
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "n": st.sampled_from([0, 4, 9, 5.5, "7", "x", None]),
            "to": st.sampled_from(["a@b.example", "c@evil.example", ""]),
            "l": st.lists(st.none(), max_size=4),
        },
    ),
    tool=TOOLS,
    team=NAMES,
    environment=NAMES,
    made=st.integers(0, 2),
    granted=st.sampled_from([True, True, True, False]),
    enabled=st.sampled_from([True, True, True, False]),
)

# What a document in git may make something else of.
LOOKALIKES = ["no", "~", "null", "1e3", "0x1f", "012", "17:00", "2026-12-25", "- a"]
TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40
) | st.sampled_from([*LOOKALIKES, "a: b", "# a", "'", '"', "|", "a\n\n  b\n", "&a *b"])


def decided(documents: list[dict[str, Any]], call: CallFacts) -> Decision:
    return decide(RuleSet(parse_all(documents), version=1), call)


@given(RULE_SETS, CALLS, st.randoms(use_true_random=False))
def test_the_order_of_rules_never_matters(
    documents: list[dict[str, Any]], call: CallFacts, random: Any
) -> None:
    shuffled = list(documents)
    random.shuffle(shuffled)
    assert decided(documents, call) == decided(shuffled, call)


@given(RULE_SETS, CALLS, ANYWHERE)
def test_a_denial_overrides_whatever_else_is_there(
    documents: list[dict[str, Any]], call: CallFacts, place: str
) -> None:
    deny = {"id": place, "effect": "deny"}
    assert decided([*documents, deny], call).denied


@given(
    RULE_SETS,
    rules(("deny", "require_approval", "limit", "redact")),
    CALLS,
    ANYWHERE,
)
def test_adding_what_is_no_allow_rule_never_allows_more(
    documents: list[dict[str, Any]],
    further: dict[str, Any],
    call: CallFacts,
    place: str,
) -> None:
    before = decided(documents, call)
    after = decided([*documents, {**further, "id": place}], call)
    assert STRICT[after.effect] >= STRICT[before.effect]
    assert set(before.hide) <= set(after.hide)
    assert set(before.routes) <= set(after.routes) or after.denied


@given(RULE_SETS, CALLS)
def test_monitor_rules_change_nothing(
    documents: list[dict[str, Any]], call: CallFacts
) -> None:
    enforced = [one for one in documents if one["mode"] == "enforce"]
    with_them, without = decided(documents, call), decided(enforced, call)
    for name in ("effect", "reasons", "applied", "routes", "hide", "masks", "told"):
        assert getattr(with_them, name) == getattr(without, name)
    assert for_record(with_them, call.arguments) == for_record(without, call.arguments)
    watched = {rule.id for rule in with_them.later if not rule.enforced}
    assert [rule for rule in with_them.later if rule.id not in watched] == list(
        without.later
    )


@given(RULE_SETS, CALLS)
def test_what_is_not_covered_is_denied_whatever_the_rules_say(
    documents: list[dict[str, Any]], call: CallFacts
) -> None:
    decision = decided(documents, call)
    if not (call.granted and call.enabled):
        assert decision.denied
        assert decision.told == ""


@given(RULE_SETS, TEXTS, TEXTS, st.integers(0, 10**30 - 1) | st.floats(0, 1e29))
def test_what_is_exported_is_imported_the_same(
    documents: list[dict[str, Any]], title: str, message: str, most: float
) -> None:
    odd = {
        "id": "zz",
        "effect": "deny",
        "title": title,
        "message": message,
        "when": "args.a == 1 ||\n  args.b == 'x: # y'",
        "select": {"teams": [title or "~", message or "no"], "roles": ["on", "17:00"]},
        "check": {"kind": "max_amount", "path": "a", "max": most},
    }
    read = parse_all([*documents, odd])
    kept = [as_dict(rule) for rule in read]
    again = yaml_documents.read(yaml_documents.write(kept, version=1))
    assert again == kept
    assert parse_all(again) == read


@given(rules())
def test_writing_is_stable(document: dict[str, Any]) -> None:
    rule: Rule = parse(document)
    assert as_dict(parse(as_dict(rule))) == as_dict(rule)
