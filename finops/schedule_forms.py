"""The form of what is sent when, and to whom."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings

from core.forms import TollgateForm
from finops.models import ReportSchedule, SavedReport
from finops.report_times import WEEKDAYS, Rhythm
from finops.services.report_schedules import Wish


class ScheduleForm(TollgateForm):
    """A saved report, a rhythm and addresses."""

    view = forms.ChoiceField(label="Saved report")
    every = forms.ChoiceField(label="Every", choices=ReportSchedule.Every.choices)
    weekday = forms.TypedChoiceField(
        label="On", coerce=int, choices=list(enumerate(WEEKDAYS)), initial=0,
        help_text="Where it is sent every week.",
    )  # fmt: skip
    day = forms.IntegerField(
        label="On day", min_value=1, max_value=31, initial=1,
        help_text="Where it is sent every month; the last where the month is shorter.",
    )  # fmt: skip
    hour = forms.IntegerField(label="At hour", min_value=0, max_value=23, initial=7)
    zone = forms.ChoiceField(
        label="Time zone",
        choices=lambda: [(name, name) for name in sorted(available_timezones())],
    )
    recipients = forms.CharField(
        label="To",
        max_length=3_000,
        help_text="Separated by commas. Each sees what both you and they may see.",
    )

    def __init__(
        self, data: Any, *, reports: list[SavedReport], address: str, chosen: str
    ) -> None:
        first = {"zone": settings.REPORT_TIME_ZONE, "recipients": address}
        super().__init__(data, initial=first | {"view": chosen, "every": "week"})
        field = self.fields["view"]
        choices = [(one.uid, one.name) for one in reports]
        field.widget.choices = field.choices = choices  # type: ignore[attr-defined]

    @property
    def wish(self) -> Wish:
        """What is wanted (of a valid form)."""
        values = self.cleaned_data
        addresses = values["recipients"].replace(",", " ").replace(";", " ").split()
        return Wish(
            rhythm=Rhythm(
                values["every"],
                values["hour"],
                values["zone"],
                weekday=values["weekday"],
                day=values["day"],
            ),
            recipients=tuple(dict.fromkeys(addresses)),
        )
