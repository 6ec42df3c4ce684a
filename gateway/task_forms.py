"""The form that states how a task ended."""

from django import forms

from core.reasons import LONGEST
from finops.services.task_facts import STATED
from policy.forms import TollgateForm


class TaskOutcomeForm(TollgateForm):
    """How it ended, and why one says so."""

    outcome = forms.ChoiceField(
        label="The task", choices=[("", "Choose…"), *((one, one) for one in STATED)]
    )
    reason = forms.CharField(
        max_length=LONGEST,
        help_text="An auditor reads it beside your name.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
