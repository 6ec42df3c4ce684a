"""The form that states how a task ended."""

from django import forms

from finops.services.task_facts import STATED
from gateway.hold_forms import ReasonForm


class TaskOutcomeForm(ReasonForm):
    """How it ended, and why one says so."""

    field_order = ["outcome", "reason"]

    outcome = forms.ChoiceField(
        label="The task", choices=[("", "Choose…"), *((one, one) for one in STATED)]
    )
