"""A browser before a stack that really runs: sign in, look, and be strict about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    sync_playwright,
)
from pytest_django.plugin import DjangoDbBlocker

from audit.models import Event
from core.clock import now
from finops.chargeback.months import month_at
from finops.headline_kinds import KINDS
from finops.services.prices import ensure_default_prices
from gateway.selectors.audit_reports import REPORTS
from policy.routing import DEFAULT, Audience, Route
from policy.services import drafts
from tests.builders.budgets import make_budget
from tests.builders.catalog import (
    make_grant,
    make_model_server,
    make_server,
    make_tool,
    make_version,
)
from tests.builders.chargeback import (
    make_built,
    make_centre,
    make_rule,
    statement_of,
)
from tests.builders.finops import make_metered_run, make_usage
from tests.builders.holds import make_approval, make_group
from tests.builders.identity import (
    ACTOR,
    AT,
    Cast,
    make_account,
    make_cast,
    make_environment,
    make_key,
    make_personal_key,
)
from tests.builders.notifications import make_channel, make_message
from tests.builders.policy import make_version as make_policy
from tests.builders.quotas import make_quota
from tests.builders.reports import make_annotation, make_saved, make_schedule
from tests.builders.runs import make_call, make_run, make_task
from tests.builders.sinks import make_sink
from tests.stack import Stack, running

PASSWORD = "e2e-pass-phrase-only"
CHROMIUM = "/usr/bin/chromium"
WIDE, NARROW = 1440, 390
_HEIGHT = 900
ERROR = {
    "code": "script_error",
    "message": "KeyError: 'totl'",
    "line": 4,
    "retryable": False,
    "suggestions": ["total"],
}
# The browser reports a refused form or a refusal as an error of its own.
_EXPECTED = ("status of 422", "status of 403", "status of 404")


@dataclass(slots=True)
class Visitor:
    """One person's page, and everything the browser complained about on it."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda message: self._said(message))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(
            words in message.text for words in _EXPECTED
        ):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path: str) -> Response | None:
        """Go to a path of the stack."""
        return self.page.goto(f"{self.url}{path}")

    def sign_in(self, username: str) -> None:
        """Sign in with the form."""
        self.open("/sign-in/")
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/sign-in/" not in url)

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        width: int = self.page.evaluate(
            "(root => root.scrollWidth - root.clientWidth)(document.documentElement)"
        )
        return width

    def axe(self) -> list[str]:
        """What axe-core finds wrong: rule, first element and why."""
        source = settings.BASE_DIR / "static/vendor/axe/axe.min.js"
        self.page.evaluate(source.read_text(encoding="utf-8"))
        found = self.page.evaluate(
            "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa',"
            " 'wcag22aa', 'best-practice']})"
        )
        return [
            f"{self.page.url} {one['id']}: {one['nodes'][0]['html'][:200]} "
            f"{one['nodes'][0].get('failureSummary', '')[:300]}"
            for one in found["violations"]
        ]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; Playwright's event loop runs in this thread until it ends."""
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Django's synchronous calls run beside that loop.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        made = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield made
        made.close()


@pytest.fixture(scope="package")
def stack(django_db_blocker: DjangoDbBlocker) -> Iterator[Stack]:
    """A stack for the tests of this folder."""
    with running(django_db_blocker) as made:
        yield made


@pytest.fixture(scope="package")
def people(stack: Stack) -> Cast:
    """The usual people, who can sign in, with environments and default prices."""
    with stack.database():
        cast = make_cast()
        for user in (
            cast.member,
            cast.approver,
            cast.auditor,
            cast.finance,
            cast.admin,
        ):
            user.set_password(PASSWORD)
            user.save(update_fields=["password"])
        for position, slug in enumerate(("dev", "staging", "prod")):
            make_environment(slug, position=position)
        ensure_default_prices(at=AT)
    return cast


_ODD = {"name": "odd", "reason": "Its schema is a list."}


@pytest.fixture(scope="package")
def sights(stack: Stack, people: Cast) -> tuple[str, ...]:
    """Rows that fill the pages, and the paths of single things among them."""
    at = now() - timedelta(hours=2)
    with stack.database():
        billing = make_server(name="billing", refused=[_ODD])
        tool = make_tool(
            billing, environments=[make_environment("dev")], tags=["sales"]
        )
        make_version(tool, description="Orders since a day, at most 1,000.")
        make_tool(billing, name="set_tier", effect="idempotent_write", confirmed_by="")
        make_server(name="ruin", status="draft", last_error="Connection refused.")
        make_grant(people.team, billing)
        make_personal_key(people.admin)
        task = make_task(label="weekly report", team="sales")
        failed = make_run(task=task, team="sales", at=at, status="failed", error=ERROR)
        make_call(failed, outcome="denied", decision="deny")
        make_call(failed, outcome="tool_error", error={"code": "e", "message": "No."})
        run = make_run(task=task, team="sales", at=at, value=[1], stdout="1 row\n")
        make_call(run)
        make_run(team="sales", at=at, status="running")
        sink = make_sink("file", name="off-site copy", file="sights.jsonl")
        asked = [*_approvals(people), *_channel(people), *_policy(people)]
        asked += [*_models(at), *_reports(), *_budget(people)]
        asked += _chargeback()
        event = Event.objects.order_by("-pk").first()
    assert event is not None
    return (
        "/catalog/servers/add/",
        "/catalog/servers/billing/",
        "/catalog/servers/billing/change/",
        "/catalog/servers/ruin/",
        "/catalog/tools/billing/list_orders/",
        "/catalog/tools/billing/set_tier/",
        "/policy/access/?server=billing&environment=dev",
        "/policy/access/reach/?holder=team:sales",
        "/policy/access/callers/billing/list_orders/",
        *_costs(),
        "/settings/teams/sales/",
        "/settings/keys/create/?team=sales",
        "/settings/personal-keys/",
        f"/runs/{failed.uid}/",
        f"/runs/{run.uid}/",
        f"/playground/?run={failed.uid}",
        f"/policy/explain/?run={failed.uid}&step=1",
        f"/audit/{event.uid}/",
        f"/audit/sinks/{sink.pk}/",
        f"/audit/sinks/{sink.pk}/change/",
        "/audit/sinks/add/",
        "/audit/sinks/add/syslog/",
        *(f"/audit/reports/{report.slug}/?period=90d" for report in REPORTS),
        *asked,
    )


def _models(at: datetime) -> tuple[str, ...]:
    """A model server that did not answer lately."""
    make_model_server("gpu", test_error="No connection.", tested_at=at)
    return tuple(f"/model-servers/{path}/" for path in ("add", "gpu", "gpu/change"))


def _costs() -> tuple[str, ...]:
    """Pages of the price book."""
    names = (
        "movers",
        "prices/import",
        "rates",
        "platform",
        "unrated",
        "rerate",
        "what-if",
    )
    return tuple(f"/costs/{name}/" for name in names)


def _reports() -> tuple[str, ...]:
    """The reports with runs in them, and what is noted on their charts."""
    make_metered_run(at=now() - timedelta(hours=1), team="sales")
    make_annotation(at=now() - timedelta(hours=1))
    make_schedule(make_saved(owner="user:erin"), next_at=now() + timedelta(days=1))
    return (
        "/reports/annotations/",
        "/reports/modes/",
        "/reports/schedules/",
        "/reports/efficiency/?by=team",
        *(f"/reports/{slug}/?by=team" for slug in KINDS),
    )


def _chargeback() -> tuple[str, ...]:
    """The month as it stands: a statement with a shared cost, and what splits it."""
    at = now()
    month = month_at(at, settings.REPORT_TIME_ZONE)
    make_centre("CC-100", name="Sales")
    make_rule(team="core", receivers=[("CC-100", "0")], valid_from=month)
    make_usage("tool/crm.read", "9", cost="1.23456", at=at, team="core")
    make_built(month, at=at)
    statement = statement_of("CC-100", month)
    line = statement.lines.filter(rule="platform-team")[0]
    return (
        f"/chargeback/{month:%Y-%m}/",
        f"/chargeback/{month:%Y-%m}/export/",
        f"/chargeback/statements/{statement.uid}/",
        f"/chargeback/statements/{statement.uid}/lines/{line.key}/",
        "/chargeback/disputes/",
        "/chargeback/adjustments/",
        "/chargeback/adjustments/add/",
        "/chargeback/centres/",
        "/chargeback/centres/set/?slug=CC-100",
        "/chargeback/rules/",
        "/chargeback/rules/platform-team/",
        "/chargeback/rules/platform-team/change/",
    )


def _budget(people: Cast) -> tuple[str, ...]:
    """A budget of a team, and what is done with it."""
    budget = make_budget("50", name="Sales month", team=people.team, at=now())
    path = f"/budgets/{budget.uid}/"
    names = ("change", "pause", "remove")
    return ("/budgets/add/", path, *(f"{path}{name}/" for name in names))


def _approvals(people: Cast) -> tuple[str, ...]:
    """Requests in every state, two of them identical, and a group that is asked."""
    make_group("refund-board", people.finance, people.admin)
    board = Route(
        Audience("group", "refund-board"),
        quorum=2,
        escalate_after_seconds=3600,
        escalate_to=Audience("role", "admin"),
    )
    board = board.asked_by("big-refunds", version="7", because="Refunds above 500")
    make_approval(step=1, arguments_digest="cd" * 32)
    shown = make_approval(routes=[board, DEFAULT])
    make_approval(routes=[DEFAULT])
    make_approval(routes=[DEFAULT])
    for state in ("used", "rejected", "expired"):
        make_approval(state=state, routes=[board])
    return (
        f"/approvals/{shown.uid}/",
        "/approvals/?state=all",
        "/approvals/figures/",
        "/settings/approver-groups/add/",
        "/settings/approver-groups/refund-board/",
    )


def _channel(people: Cast) -> tuple[str, ...]:
    """A webhook with messages that arrived, wait and were given up."""
    channel = make_channel("Refund chat", audience=Audience("group", "refund-board"))
    make_channel("Mail to approvers", kind="email", enabled=False)
    make_message(channel, state="delivered", attempts=1, delivered_at=now())
    make_message(channel, state="dead", attempts=9, last_error="It answered 500.")
    later = now() + timedelta(hours=1)
    make_message(channel, state="queued", attempts=2, next_at=later)
    return f"/settings/notifications/{channel.pk}/", "/settings/notifications/add/"


def _policy(people: Cast) -> tuple[str, ...]:
    """Rules that select nothing, a draft that changes each, quotas, sandbox policy."""
    watch = {
        "id": "watch-tiers",
        "title": "Who sets tiers?",
        "mode": "monitor",
        "effect": "deny",
        "select": {"tools": ["billing.set_*"]},
        "when": "has(args.tier) && args.tier > 2",
        "message": "Tiers are set by people.",
    }
    ask = {
        "id": "ask-directors",
        "enabled": False,
        "effect": "require_approval",
        "approve": {"group": "refund-board", "quorum": 2},
    }
    make_policy(watch, ask)
    live = make_policy({**watch, "title": "Who sets high tiers?"}, ask)
    limit = {"id": "few", "effect": "limit", "limit": {"calls_per_run": 9},
             "select": {"servers": ["billing"]}}  # fmt: skip
    changed = [{**watch, "mode": "enforce"}, limit]
    draft = drafts.begin(name="tiers", rules=changed, actor=ACTOR, at=now())
    quota = make_quota(1_000, team=people.team, window="day", tool="billing.*")
    key = make_key(make_account(people.team, "billing-agent")).key
    rules = "/policy/rules/"
    return (
        f"{rules}upload/",
        f"{rules}rule/watch-tiers/",
        f"{rules}versions/",
        f"{rules}versions/{live.number}/",
        f"{rules}drafts/{draft.uid}/",
        f"{rules}drafts/{draft.uid}/add/?tools=billing.set_tier",
        f"{rules}drafts/{draft.uid}/rules/watch-tiers/",
        f"{rules}drafts/{draft.uid}/replay/",
        f"/policy/access/reach/?key={key.pk}",
        "/policy/access/reach/?holder=role:admin",
        "/policy/quotas/add/?team=sales",
        f"/policy/quotas/{quota.pk}/",
        "/settings/teams/sales/sandbox/",
        f"/settings/keys/{key.pk}/sandbox/",
    )


def visit(
    browser: Browser, stack: Stack, *, width: int = WIDE, dark: bool = False
) -> tuple[BrowserContext, Visitor]:
    """A fresh window; close the context when done."""
    context = browser.new_context(
        viewport={"width": width, "height": _HEIGHT},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
    )
    context.set_default_timeout(20_000)
    return context, Visitor(context.new_page(), stack.url)


@pytest.fixture
def admin(browser: Browser, stack: Stack, people: Cast) -> Iterator[Visitor]:
    """Erin, an administrator, signed in; the browser must have had no complaint."""
    context, visitor = visit(browser, stack)
    visitor.sign_in("erin")
    yield visitor
    context.close()
    assert visitor.complaints == []
