"""The form of a deployment or note."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings

from core.clock import now
from core.forms import TollgateForm
from finops.models import Annotation
from finops.services.annotations import LONGEST_TEXT, Note
from policy.access import REPORTS_ANNOTATE, Access
from policy.models import Team


class AnnotationForm(TollgateForm):
    """What happened, when and for whom; times are of the report's zone."""

    text = forms.CharField(label="What happened", max_length=LONGEST_TEXT)
    kind = forms.ChoiceField(label="Kind", choices=Annotation.Kind.choices)
    when = forms.DateTimeField(
        label="When",
        widget=forms.DateTimeInput(
            attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"
        ),
    )
    team = forms.ChoiceField(label="Team", required=False)
    # Not a URLField: hosts of one's own often have no dot.
    link = forms.CharField(
        required=False, max_length=500, widget=forms.URLInput(), label="Link"
    )

    def __init__(self, data: Any, *, access: Access) -> None:
        local = now().astimezone(ZoneInfo(settings.REPORT_TIME_ZONE))
        super().__init__(data, initial={"when": local.replace(tzinfo=None)})
        teams = access.teams_for(REPORTS_ANNOTATE)
        found = Team.objects.order_by("name", "pk")
        if teams is not None:
            found = found.filter(slug__in=teams)
        choices = list(found.values_list("slug", "name"))
        every = [("", "All teams")] if teams is None else []
        field = self.fields["team"]
        field.widget.choices = field.choices = [*every, *choices]  # type: ignore[attr-defined]
        field.required = teams is not None
        self.fields["when"].help_text = f"In {settings.REPORT_TIME_ZONE}."

    @property
    def note(self) -> Note:
        """What to note (of a valid form)."""
        values = self.cleaned_data
        when: datetime = values["when"]
        zone = ZoneInfo(settings.REPORT_TIME_ZONE)
        return Note(
            at=when.replace(tzinfo=zone),
            kind=values["kind"],
            text=values["text"],
            team=values["team"],
            link=values["link"],
        )
