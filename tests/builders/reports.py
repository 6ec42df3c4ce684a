"""What stands beside the reports."""

from datetime import datetime
from typing import Any

from core.ids import new_id
from finops.models import Annotation, ReportSchedule, SavedReport
from tests.builders.finops import AT


def make_annotation(
    text: str = "Release 7", *, at: datetime = AT, team: str = "sales", **fields: Any
) -> Annotation:
    """A deployment of the sales team, noted by its member."""
    values: dict[str, Any] = {
        "uid": new_id("note"),
        "kind": "deployment",
        "author": "sa:sales/ci",
        "author_label": "ci",
        "created_at": at,
    }
    return Annotation.objects.create(at=at, text=text, team=team, **(values | fields))


def make_saved(
    name: str = "Weekly costs",
    *,
    owner: str = "user:nobody",
    page: str = "costs",
    query: str = "period=7d",
    team: str = "",
) -> SavedReport:
    """A saved report of somebody."""
    return SavedReport.objects.create(
        uid=new_id("view"), name=name, owner=owner, page=page, query=query, team=team,
        created_at=AT,
    )  # fmt: skip


def make_schedule(view: SavedReport | None = None, **fields: Any) -> ReportSchedule:
    """A saved report that is sent every day at 7, UTC; it is due at once."""
    view = view or make_saved()
    values: dict[str, Any] = {
        "uid": new_id("mail"),
        "owner": view.owner,
        "every": "day",
        "hour": 7,
        "zone": "UTC",
        "recipients": ["reader@example.org"],
        "next_at": AT,
        "paused_because": "",
        "created_at": AT,
    }
    return ReportSchedule.objects.create(view=view, **(values | fields))
