"""Pages of chargeback: who sees what, what is done there, and what it costs."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from audit.models import Event
from finops.models import (
    Adjustment,
    AllocationVersion,
    BillingPeriod,
    CostCentre,
    Dispute,
)
from policy.models import User
from tests.builders.chargeback import (
    IN_OCTOBER,
    OCTOBER,
    make_built,
    make_centre,
    make_closed,
    make_credit,
    make_dispute,
    make_reviewed,
    make_rule,
    statement_of,
)
from tests.builders.finops import make_usage
from tests.builders.identity import Cast, make_account, make_key
from tests.integration.gateway.pages.conftest import queries_of

pytestmark = pytest.mark.django_db
Browse = Callable[[User], Client]
MONTH = "/chargeback/2026-10/"


@pytest.fixture
def browse() -> Browse:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def october(cast: Cast) -> None:
    """Sales and support used something; so did the platform team."""
    make_centre("CC-100", name="Sales")
    make_centre("CC-200", name="Support", charged=False)
    make_usage(cost="10", at=IN_OCTOBER, team="sales", cost_centre="CC-100", run="r1")
    make_usage(cost="2", at=IN_OCTOBER, team="support", cost_centre="CC-200")
    make_usage(cost="6", at=IN_OCTOBER, team="core", cost_centre="CC-core", run="r2")


def page(client: Client, path: str, *, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return response.content.decode()


def rows(client: Client, path: str) -> list[dict[str, str]]:
    response: Any = client.get(path)
    return list(csv.DictReader(io.StringIO(response.getvalue().decode())))


def address(centre: str) -> str:
    return f"/chargeback/statements/{statement_of(centre).uid}/"


def line_of(centre: str) -> str:
    first = statement_of(centre).lines.order_by("number")[0]
    return f"{address(centre)}lines/{first.key}/"


@pytest.mark.usefixtures("october")
def test_a_controller_takes_a_month_from_draft_to_issue(
    cast: Cast, browse: Browse
) -> None:
    client = browse(cast.finance)
    assert client.post("/chargeback/build/").status_code == 302
    assert "Put it up for review" in page(client, "/chargeback/")
    for act, state in (
        ("review", "review"),
        ("build", "review"),
        ("reopen", "draft"),
        ("review", "review"),
        ("close", "closed"),
        ("issue", "issued"),
    ):
        body = {"act": act, "reason": "because"}
        assert client.post(f"{MONTH}act/", body).status_code == 302
        assert BillingPeriod.objects.get(month=OCTOBER).state == state

    shown = page(client, MONTH)
    assert "2026-10-0001" in shown
    assert "SB-2026-10-0002" in shown
    assert "each worked out again" in shown
    assert f"{MONTH}export/" in shown
    found = rows(client, f"{MONTH}?export=csv")
    assert [(one["cost_centre"], one["total"], one["charged"]) for one in found] == [
        ("CC-100", "10", "True"),
        ("CC-200", "2", "False"),
        ("CC-core", "6", "True"),
    ]
    response = client.post(f"{MONTH}act/", {"act": "close"})
    assert response.status_code == 422
    assert "never" not in BillingPeriod.objects.get(month=OCTOBER).close_reason


@pytest.mark.usefixtures("october")
def test_a_member_sees_the_own_cost_centre_alone(cast: Cast, browse: Browse) -> None:
    make_reviewed()
    client = browse(cast.member)

    shown = page(client, MONTH)
    assert "CC-100" in shown
    assert "CC-200" not in shown
    assert "18.00" not in shown
    assert "10.00" in page(client, "/chargeback/")
    assert len(rows(client, f"{MONTH}?export=csv")) == 1
    files = address("CC-100") + "export/"
    assert files + "pdf/" in page(client, address("CC-100"))
    assert rows(client, files + "csv/")[0]["sku"] == "tokens/result"
    page(client, address("CC-200") + "export/csv/", status=404)
    assert Event.objects.filter(name="chargeback.exported").count() == 1
    page(client, address("CC-100"))
    page(client, address("CC-200"), status=404)
    page(client, line_of("CC-200"), status=404)


@pytest.mark.usefixtures("october")
def test_an_owner_speaks_for_the_cost_centre(cast: Cast, browse: Browse) -> None:
    make_centre("CC-core", name="Platform", owner=cast.member.username)
    make_reviewed()
    client = browse(cast.member)
    one = statement_of("CC-core")

    # The figures are theirs; the runs are another team's.
    assert "whose work you do not see" in page(client, line_of("CC-core"))
    body = {"content": one.content}
    assert client.post(f"{address('CC-core')}accept/", body).status_code == 302
    assert statement_of("CC-core").accepted_by == f"user:{cast.member.username}"


@pytest.mark.usefixtures("october")
def test_a_line_is_disputed_argued_and_credited(cast: Cast, browse: Browse) -> None:
    make_reviewed()
    lead, controller = browse(cast.member), browse(cast.finance)
    assert "equal to the statement" in page(lead, line_of("CC-100"))

    body = {"reason": "We never ran this.", "runs": "run_7k3m9q2x"}
    response: Any = lead.post(line_of("CC-100"), body)
    thread = response.url
    assert thread == f"/chargeback/disputes/{Dispute.objects.get().uid}/"
    said = {"text": "Look at the journal.", "runs": ""}
    assert controller.post(f"{thread}comment/", said).status_code == 302
    accepting = {"content": statement_of("CC-100").content}
    response = lead.post(f"{address('CC-100')}accept/", accepting)
    assert response.status_code == 422
    assert "disputed" in response.content.decode()
    ended = {"outcome": "credited", "amount": "2.50", "reason": "our fault"}
    assert controller.post(f"{thread}resolve/", ended).status_code == 302

    shown = page(lead, thread)
    for words in ("We never ran this.", "run_7k3m9q2x", "Look at", "our fault", "2.50"):
        assert words in shown
    assert "7.50" in page(lead, address("CC-100"))
    assert rows(lead, "/chargeback/disputes/?export=csv")[0]["state"] == "credited"
    assert page(lead, "/chargeback/disputes/?state=open").count(thread) == 0


@pytest.mark.usefixtures("october")
def test_nobody_resolves_the_own_dispute(cast: Cast, browse: Browse) -> None:
    make_reviewed()
    client = browse(cast.admin)
    response: Any = client.post(line_of("CC-100"), {"reason": "mine"})
    thread = response.url

    assert "Nobody resolves their own" in page(client, thread)
    ended = {"outcome": "credited", "amount": "10", "reason": "mine"}
    response = client.post(f"{thread}resolve/", ended)

    assert response.status_code in {403, 422}
    assert Dispute.objects.get().state == "open"
    assert not Adjustment.objects.exists()
    assert Event.objects.filter(name="dispute.refused").count() == 1


@pytest.mark.usefixtures("october")
def test_an_amount_is_put_on_and_withdrawn(cast: Cast, browse: Browse) -> None:
    make_built()
    client = browse(cast.finance)
    body = {"month": "2026-10", "centre": "CC-100", "kind": "adjustment"}
    wrong = client.post("/chargeback/adjustments/add/", {**body, "amount": "3"})
    assert wrong.status_code == 422
    body |= {"amount": "3", "reason": "a licence of theirs"}
    assert client.post("/chargeback/adjustments/add/", body).status_code == 302

    assert statement_of("CC-100").billed == 13
    assert "a licence of theirs" in page(client, address("CC-100"))
    assert "a licence of theirs" in page(
        browse(cast.member), "/chargeback/adjustments/"
    )
    assert (
        rows(client, f"{address('CC-100')}?export=csv&category=adjustment")[0]["cost"]
        == "3"
    )
    assert "a licence" not in page(browse(cast.outsider), "/chargeback/adjustments/")
    uid = Adjustment.objects.get().uid
    path = f"/chargeback/adjustments/{uid}/withdraw/"
    assert client.post(path, {"reason": "twice"}).status_code == 302
    assert statement_of("CC-100").billed == 10


@pytest.mark.usefixtures("october")
def test_a_rule_is_tried_before_it_holds(cast: Cast, browse: Browse) -> None:
    make_built()
    client = browse(cast.finance)
    body = {
        "slug": "platform",
        "name": "Platform team",
        "position": "1",
        "source": "usage",
        "team": "core",
        "method": "fixed",
        "receivers": "CC-100 75\nCC-200 25%",
        "valid_from": "2026-10",
        "active": "on",
        "month": "2026-10",
    }
    path = "/chargeback/rules/add/"
    tried = client.post(path, {**body, "try": "yes"})
    assert tried.status_code == 200
    shown = tried.content.decode()
    assert "+4.50" in shown
    assert "18.00" in shown
    assert not AllocationVersion.objects.exists()
    assert client.post(path, body).status_code == 422
    assert client.post(path, {**body, "reason": "agreed"}).status_code == 302
    make_built()

    assert statement_of("CC-100").cost == 14 + 0.5
    assert "platform@1" in page(client, address("CC-100"))
    assert "75" in page(client, "/chargeback/rules/platform/")
    later = {**body, "valid_from": "2026-11", "reason": "from now on"}
    later["receivers"] = "CC-100 10\nCC-200 90"
    change = "/chargeback/rules/platform/change/"
    assert client.post(change, later).status_code == 302
    make_built()
    # October is still split by the version that holds in it.
    assert statement_of("CC-100").cost == 14 + 0.5


@pytest.mark.usefixtures("october")
def test_a_cost_centre_is_shown_instead_of_charged(cast: Cast, browse: Browse) -> None:
    client = browse(cast.finance)
    path = "/chargeback/centres/set/?slug=CC-100"
    body = {"slug": "CC-100", "name": "Sales", "owner": "nobody-here", "reason": "r"}
    assert client.post(path, body).status_code == 422
    assert client.post(path, {**body, "owner": "alice"}).status_code == 302
    make_closed()

    assert not CostCentre.objects.get(slug="CC-100").charged
    assert "Showback" in page(client, address("CC-100"))
    found = rows(client, "/chargeback/centres/?export=csv")
    assert ("CC-100", "alice", "False") in [
        (one["code"], one["owner"], one["charged"]) for one in found
    ]


@pytest.mark.usefixtures("october")
def test_a_key_reads_the_statements_of_its_team(cast: Cast) -> None:
    make_rule(team="core", receivers=[("CC-100", "0"), ("CC-200", "0")])
    make_closed()
    key = make_key(make_account(cast.team, "books"), scopes=["costs:read"])
    bearer = {"Authorization": f"Bearer {key.text}"}

    def read(path: str) -> Any:
        return Client().get(f"/api/v1/chargeback/{path}", headers=bearer)

    assert [(one["month"], one["total"]) for one in read("").json()] == [
        ("2026-11", None),
        ("2026-10", "13.000000000000"),
    ]
    (head,) = read("2026-10/").json()["statements"]
    assert (head["cost_centre"], head["digest"]) == (
        "CC-100",
        statement_of("CC-100").digest,
    )
    whole = read(f"statements/{head['statement']}/").json()
    assert [
        (one["category"], one["rule"], one["ratio"], one["billed"])
        for one in whole["lines"]
    ] == [
        ("usage", "", None, "10.000000000000"),
        ("shared", "platform-team@1", "0.500000000000000000", "3.000000000000"),
    ]
    file = read(f"statements/{head['statement']}/export/json/")
    assert head["digest"] in file.getvalue().decode()
    assert read(f"statements/{statement_of('CC-200').uid}/").status_code == 404
    assert read("2027-01/").status_code == 404


def _fill(numbers: range) -> None:
    """Statements, lines, rules, credits and disputes, one of each a number."""
    for number in numbers:
        centre = f"CC-m{number:02d}"
        make_usage(cost="1", at=IN_OCTOBER, team="sales", cost_centre=centre)
        make_usage(f"tool/crm.t{number}", cost="1", at=IN_OCTOBER, cost_centre="CC-100")
        make_rule(f"rule-{number}", team=f"t{number}", position=number)
        make_credit("CC-100", "-0.01")
    make_built()
    for number in numbers:
        make_dispute(statement_of(f"CC-m{number:02d}"))


@pytest.mark.usefixtures("october")
def test_pages_cost_the_same_however_much_they_show(cast: Cast, browse: Browse) -> None:
    client = browse(cast.finance)
    make_reviewed()
    paths = (
        "/chargeback/",
        MONTH,
        address("CC-100"),
        line_of("CC-100"),
        *(f"/chargeback/{name}/" for name in ("centres", "rules", "disputes")),
        "/chargeback/adjustments/",
    )

    _fill(range(3))
    few = [queries_of(client, path) for path in paths]
    _fill(range(3, 18))

    assert [queries_of(client, path) for path in paths] == few
    assert max(few) <= 40
