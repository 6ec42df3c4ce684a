"""Makes the demo's finances: two months and the present one, from usage to dispute.

``python -m deploy.demo.finances``, once the demo is up. Usage is reported through
``/api/v1/usage/`` by a key of each team, dated when it happened; prices, rates, rules,
months, a dispute and budgets go through the services that the pages call.
"""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import django
import httpx2

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402 - needs the app registry
from django.db.models import Sum  # noqa: E402

from audit.actor import SYSTEM, Actor  # noqa: E402
from core.clock import now  # noqa: E402
from deploy.demo.usage import RELEASED_DAYS_AGO, answers, forgotten  # noqa: E402
from finops import public_prices  # noqa: E402
from finops.chargeback.allocation import (  # noqa: E402
    EVEN,
    OF_PLATFORM,
    PROPORTIONAL,
    Rule,
)
from finops.chargeback.months import month_at, month_before, start_of  # noqa: E402
from finops.model_usage import model_sku  # noqa: E402
from finops.models import Budget, Statement, UsageEvent, UsageReport  # noqa: E402
from finops.services import (  # noqa: E402
    billing,
    budget_alerts,
    budget_changes,
    closing,
    disputes,
    platform_costs,
)
from finops.services.annotations import Note, annotate  # noqa: E402
from finops.services.cost_centres import set_centre, set_rule  # noqa: E402
from finops.services.fx import set_rate  # noqa: E402
from finops.services.prices import bring_in, set_price  # noqa: E402
from policy import scopes  # noqa: E402
from policy.models import ApiKey, Team, User  # noqa: E402
from policy.services import keys  # noqa: E402

AT_ONCE = 250
WHY = "The demo's finances"
CENTRES = (
    ("CC-100", "Platform", "", False),
    ("CC-210", "Growth", "bob", True),
    ("CC-320", "Support", "charlie", True),
)
OWN_MODEL = {
    "input": "0.00000025",
    "cached_read": "0.00000003",
    "output": "0.0000009",
}
RATES = ("1.1602", "1.1648", "1.1571")
Item = tuple[str, dict[str, Any]]


def main() -> int:
    """All of it once; what is there is left alone."""
    at = now()
    present = month_at(at, settings.REPORT_TIME_ZONE)
    erik = _person("erik")
    if not Statement.objects.exists():
        _months(present, erik, at)
    _notes(at, erik)
    _budgets(at, erik)
    billing.build(month=present, actor=SYSTEM, at=now())
    print(f"{UsageReport.objects.count()} answers of models are in the ledger")
    return 0


def _months(present: date, erik: Actor, at: datetime) -> None:
    """One month issued, one in review, one under way."""
    last = month_before(present)
    oldest = month_before(last)
    data_dir = Path(os.environ.get("TOLLGATE_DATA_DIR", "var"))
    demo: dict[str, Any] = json.loads((data_dir / "demo.json").read_text())
    _prices(oldest, (oldest, last, present), erik)
    _shared(oldest, erik)
    team_keys = _keys(at)
    months: dict[date, list[Item]] = {oldest: [], last: [], present: []}
    for item in answers(oldest, at):
        day = datetime.fromisoformat(item[1]["at"])
        months[month_at(day, settings.REPORT_TIME_ZONE)].append(item)
    with httpx2.Client(base_url=demo["url"], timeout=120) as client:
        _report(client, team_keys, months[oldest])
        _close(oldest, erik)
        _report(client, team_keys, forgotten(last - timedelta(days=1), at))
        _report(client, team_keys, months[last])
        _dispute(last, erik, _person("bob"))
        _report(client, team_keys, months[present])


def _person(username: str) -> Actor:
    user = User.objects.get(username=username)
    return Actor("user", f"user:{username}", user.get_full_name())


def _prices(oldest: date, months: Iterable[date], erik: Actor) -> None:
    """Published prices, those of the company's own model in EUR, and fixed costs."""
    bring_in(
        lines=public_prices.published(["anthropic", "openai"]),
        source=public_prices.SOURCE,
        reason=WHY,
        actor=erik,
        at=now(),
    )
    for month, rate in zip(months, RATES, strict=True):
        set_rate(
            month=month,
            currency="EUR",
            rate=Decimal(rate),
            reason="Rate of the month's first day",
            actor=erik,
            at=now(),
        )
    begins = start_of(oldest, settings.REPORT_TIME_ZONE)
    for kind, amount in OWN_MODEL.items():
        set_price(
            sku=model_sku("inhouse", "qwen3-coder", kind),
            unit="Tokens",
            amount=Decimal(amount),
            currency="EUR",
            valid_from=begins,
            reason="What our own GPUs come to",
            actor=erik,
            at=now(),
        )
    for kind, name, cost, currency in (
        ("hardware", "gpu-node", "18", "EUR"),
        ("licence", "gateway-support", "12", "USD"),
    ):
        platform_costs.set_cost(
            kind=kind,
            name=name,
            amount=Decimal(cost),
            currency=currency,
            first=oldest,
            reason="By contract",
            actor=erik,
            at=now(),
        )


def _shared(oldest: date, erik: Actor) -> None:
    """Who bears costs, and how those that belong to nobody are split."""
    for slug, name, owner, charged in CENTRES:
        set_centre(
            slug=slug,
            name=name,
            owner=owner,
            charged=charged,
            reason=WHY,
            actor=erik,
            at=now(),
        )
    rules = (
        ("gpu-node", "GPU node by model tokens", PROPORTIONAL, "model_tokens"),
        ("gateway-support", "Support in equal parts", EVEN, ""),
    )
    for position, (slug, name, method, driver) in enumerate(rules, 1):
        kind = "hardware" if slug == "gpu-node" else "licence"
        set_rule(
            rule=Rule(slug, 0, OF_PLATFORM, f"{kind}/{slug}", "", method, driver, ()),
            name=name,
            position=position,
            valid_from=oldest,
            reason=WHY,
            actor=erik,
            at=now(),
        )


def _keys(at: datetime) -> dict[str, str]:
    """A key of each team that may report usage, for a day."""
    found: dict[str, str] = {}
    used = ApiKey.objects.filter(name="demo").order_by("pk")
    for one in used.select_related("service_account__team", "environment", "project"):
        made = keys.create_key(
            service_account=one.service_account,
            name="usage log",
            environment=one.environment,
            project=one.project,
            granted=[scopes.COSTS_WRITE],
            actor=SYSTEM,
            at=at,
            expires_at=at + timedelta(days=1),
        )
        found[one.service_account.team.slug] = made.text
    return found


def _report(
    client: httpx2.Client, team_keys: Mapping[str, str], items: Iterable[Item]
) -> None:
    """Send what each team's log has, in batches. Raises where one is refused."""
    of_team: dict[str, list[dict[str, Any]]] = {}
    for team, item in items:
        of_team.setdefault(team, []).append(item)
    for team, told in of_team.items():
        for start in range(0, len(told), AT_ONCE):
            answer = client.post(
                "/api/v1/usage/",
                json={"items": told[start : start + AT_ONCE]},
                headers={"Authorization": f"Bearer {team_keys[team]}"},
            )
            answer.raise_for_status()
            if answer.json()["refused"]:
                raise RuntimeError(f"Usage of {team} was refused: {answer.text[:500]}")


def _close(month: date, erik: Actor) -> None:
    """Take a month through review, acceptance, close and issue."""
    billing.build(month=month, actor=erik, at=now())
    closing.start_review(month=month, actor=erik, at=now())
    for statement in Statement.objects.filter(period__month=month, charged=True):
        closing.accept(
            uid=statement.uid,
            content=statement.content,
            actor=_person(statement.cost_centre.owner),
            at=now(),
        )
    closing.close(month=month, actor=erik, at=now())
    closing.issue(month=month, actor=erik, at=now())


def _dispute(month: date, erik: Actor, bob: Actor) -> None:
    """Leave the month in review, with a line that its team objects to."""
    billing.build(month=month, actor=erik, at=now())
    closing.start_review(month=month, actor=erik, at=now())
    statement = Statement.objects.get(
        period__month=month, cost_centre__slug=CENTRES[1][0]
    )
    line = statement.lines.order_by("-billed", "number")[0]
    dispute = disputes.open_dispute(
        uid=statement.uid,
        key=line.key,
        reason="A load test of the platform ran with our key in the second week.",
        actor=bob,
        at=now(),
    )
    disputes.comment(
        uid=dispute.uid,
        text="Which days, and which runs? Then I can credit it.",
        runs=(),
        actor=erik,
        at=now(),
    )


def _notes(at: datetime, erik: Actor) -> None:
    annotate(
        note=Note(
            at=at - timedelta(days=RELEASED_DAYS_AGO - 1),
            kind="deployment",
            text="Retention agent 2.0: asks a larger model, and more often",
            team="growth",
            link="https://git.example.org/retention/releases/2.0",
            external_id="retention-2.0",
        ),
        teams=None,
        actor=erik,
        at=now(),
    )


def _budgets(at: datetime, erik: Actor) -> None:
    """Growth's of four weeks is past a threshold; the company's month has room."""
    if Budget.objects.exists():
        return
    zone = settings.REPORT_TIME_ZONE
    first = at.astimezone(ZoneInfo(zone)).date() - timedelta(days=20)
    growth, month = _spent(first, zone, team="growth"), _spent(month_at(at, zone), zone)
    wanted = (
        (
            budget_changes.Scope(team=Team.objects.get(slug="growth")),
            budget_changes.Terms(
                name="Growth",
                amount=(growth / Decimal("0.83")).quantize(Decimal(1), ROUND_UP),
                first_day=first,
                every_days=28,
                thresholds=(50, 80, 100),
            ),
        ),
        (
            budget_changes.Scope(),
            budget_changes.Terms(
                name="Whole company",
                amount=max(Decimal(round(month * 2)), Decimal(100)),
                thresholds=(80, 100),
                hard=True,
            ),
        ),
    )
    for scope, terms in wanted:
        budget_changes.set_budget(
            scope=scope, terms=terms, reason=WHY, actor=erik, at=now()
        )
    budget_alerts.forecast_all(at=now())
    budget_alerts.watch_all(at=now())


def _spent(first: date, zone: str, **of: str) -> Decimal:
    rows = UsageEvent.objects.filter(at__gte=start_of(first, zone), **of)
    return rows.aggregate(spent=Sum("cost"))["spent"] or Decimal(0)


if __name__ == "__main__":
    sys.exit(main())
