"""Sums over changed decisions: all are counted, the newest and the rare are named."""

from gateway.policy_tally import MOST_SHOWN, Change, Sums


def change(number: int, *, after: str = "deny", team: str = "sales") -> Change:
    return Change(
        call=number,
        run="run_1",
        step=number,
        tool="shop.refund",
        team=team,
        environment="prod",
        principal="sa:sales/agent",
        key="",
        at="2026-11-21T08:00:00+00:00",
        before="allow",
        after=after,
        reasons=(),
        rules=("big",),
        recorded="ok",
    )


def test_all_are_counted_and_the_newest_are_named() -> None:
    sums = Sums()
    for number in range(MOST_SHOWN + 500):
        sums.add_change(change(number))
    found = sums.as_dict()
    assert found["changed"] == MOST_SHOWN + 500
    assert found["by_key"] == [{"name": "none", "calls": MOST_SHOWN + 500}]
    assert [one["call"] for one in found["changes"]] == list(range(MOST_SHOWN))


def test_what_is_rare_is_named_too_and_all_is_bounded() -> None:
    sums = Sums()
    for number in range(MOST_SHOWN + 500):
        sums.add_change(change(number))
    for number in range(30):
        sums.add_change(change(number, after="require_approval: role finance (1)"))
    named = sums.as_dict()["changes"]
    rare = [one for one in named if one["after"] != "deny"]
    assert (len(rare), len(named)) == (20, MOST_SHOWN + 20)
    for number in range(3_000):
        sums.add_change(change(number, team=f"team-{number}"))
    assert len(sums.changes) == 2 * MOST_SHOWN
