"""What stands beside the reports."""

from datetime import datetime
from typing import Any

from core.ids import new_id
from finops.models import Annotation
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
