"""Sets cost centres and the rules that split shared costs among them."""

from datetime import date, datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from audit.actor import Actor, Target
from audit.services.record import record
from core.errors import Invalid
from core.money import plain
from core.reasons import reason_given
from finops.chargeback import events
from finops.chargeback.allocation import PROPORTIONAL, UNALLOCATED, Rule
from finops.models import (
    AllocationRule,
    AllocationVersion,
    BillingPeriod,
    CostCentre,
)
from policy.models import User


@transaction.atomic
def set_centre(
    *,
    slug: str,
    name: str,
    owner: str,
    charged: bool,
    reason: str,
    actor: Actor,
    at: datetime,
) -> CostCentre:
    """Set a cost centre, new or changed; drafts that are built from now on follow.

    ``owner`` is a username, "" for nobody. Raises Invalid.
    """
    why = reason_given(reason)
    label = name.strip()[:100]
    if not slug.strip() or len(slug) > 40 or not slug.isprintable() or not label:
        raise Invalid("A cost centre has a code of up to 40 characters and a name.")
    if owner and not User.objects.filter(username=owner).exists():
        raise Invalid(f"There is nobody called {owner}: use a username.")
    if slug == UNALLOCATED and charged:
        raise Invalid("What is not allocated is charged to nobody: write a rule.")
    before = CostCentre.objects.select_for_update().filter(slug=slug).first()
    shown = _shown(before) if before else None
    centre, _ = CostCentre.objects.update_or_create(
        slug=slug,
        defaults={"name": label, "owner": owner, "charged": charged},
        create_defaults={
            "name": label,
            "owner": owner,
            "charged": charged,
            "created_at": at,
        },
    )
    record(
        events.CENTRE_SET,
        actor=actor,
        at=at,
        target=Target("cost_centre", slug, slug),
        before=shown,
        after=_shown(centre),
        payload={"reason": why},
    )
    return centre


@transaction.atomic
def set_rule(
    *,
    rule: Rule,
    name: str,
    position: int,
    valid_from: date,
    reason: str,
    actor: Actor,
    at: datetime,
    active: bool = True,
) -> AllocationVersion:
    """Set what a rule says from a month on, as its next version; no row is changed.

    ``rule.version`` does not count: it is given here. Raises Invalid, also where the
    month is closed already.
    """
    why = reason_given(reason)
    rule.check()
    _check_month(valid_from)
    _check_receivers(rule)
    AllocationRule.objects.select_for_update().filter(slug=rule.slug).first()
    standing, _ = AllocationRule.objects.update_or_create(
        slug=rule.slug,
        defaults={"name": name.strip()[:100], "position": position},
        create_defaults={
            "name": name.strip()[:100],
            "position": position,
            "created_at": at,
        },
    )
    newest = standing.versions.aggregate(newest=Max("version"))["newest"] or 0
    before = standing.versions.filter(version=newest).first()
    version = AllocationVersion.objects.create(
        rule=standing,
        version=newest + 1,
        valid_from=valid_from,
        active=active,
        source=rule.source,
        sku=rule.sku,
        team=rule.team,
        method=rule.method,
        driver=rule.driver if rule.method == PROPORTIONAL else "",
        receivers=[
            {"centre": one.centre, "weight": plain(one.weight)}
            for one in rule.receivers
        ],
        reason=why,
        created_by=actor.label[:200],
        created_at=at,
    )
    record(
        events.ALLOCATION_SET,
        actor=actor,
        at=at,
        target=Target("allocation", rule.slug, rule.slug),
        before=version_shown(before) if before else None,
        after=version_shown(version),
        payload={"month": f"{valid_from:%Y-%m}", "reason": why},
    )
    return version


def version_shown(version: AllocationVersion) -> dict[str, Any]:
    """A version as the trail and the API hold it."""
    return {
        "version": version.version,
        "valid_from": f"{version.valid_from:%Y-%m}",
        "active": version.active,
        "source": version.source,
        "sku": version.sku,
        "team": version.team,
        "method": version.method,
        "driver": version.driver,
        "receivers": version.receivers,
    }


def _check_month(valid_from: date) -> None:
    if valid_from.day != 1:
        raise Invalid("A rule holds from the first day of a month on.")
    closed = BillingPeriod.objects.exclude(closed_at=None).order_by("-month").first()
    if closed and valid_from <= closed.month:
        raise Invalid(
            f"{closed} is closed: a rule holds from a later month on, and corrections "
            "of closed months are split as they were."
        )


def _check_receivers(rule: Rule) -> None:
    names = {one.centre for one in rule.receivers}
    known = set(
        CostCentre.objects.filter(slug__in=names).values_list("slug", flat=True)
    )
    if missing := sorted(names - known):
        raise Invalid(f"There is no cost centre {', '.join(missing)}: add it first.")


def _shown(centre: CostCentre) -> dict[str, Any]:
    return {"name": centre.name, "owner": centre.owner, "charged": centre.charged}
