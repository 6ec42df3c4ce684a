"""The call that a rule is tried with, or that is explained."""

import json
from typing import Any

from django import forms

from gateway.models import Run, ToolCall
from gateway.services.deciding import NEEDS_GVISOR
from policy.facts import PrincipalFacts, ToolFacts
from policy.forms import TollgateForm
from policy.sandbox import LANGUAGES


class SampleForm(TollgateForm):
    """A call as somebody of a team would make it."""

    prefix = "sample"
    tool = forms.CharField(
        max_length=200,
        widget=forms.TextInput(
            attrs={
                "data-complete": "tools",
                "autocomplete": "off",
                "spellcheck": "false",
            }
        ),
    )
    team = forms.ChoiceField()
    environment = forms.ChoiceField()
    key = forms.CharField(
        max_length=120,
        required=False,
        help_text="Its prefix, or sa:team/account.",
        widget=forms.TextInput(attrs={"data-complete": "keys", "autocomplete": "off"}),
    )
    mode = forms.ChoiceField(label="Called", choices=Run.Mode.choices)
    arguments = forms.CharField(
        label="Arguments, as JSON",
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
    )

    def __init__(
        self, *args: Any, teams: list[str], environments: list[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        for name, found in (("team", teams), ("environment", environments)):
            self.fields[name].choices = [(one, one) for one in found]  # type: ignore[attr-defined]

    def clean_arguments(self) -> dict[str, Any]:
        try:
            value = json.loads(self.cleaned_data["arguments"])
        except (ValueError, RecursionError) as error:
            place = f" in line {error.lineno}" if hasattr(error, "lineno") else ""
            raise forms.ValidationError(f"This is no JSON{place}.") from None
        if not isinstance(value, dict):
            raise forms.ValidationError('Give an object, such as {"amount": 1}.')
        return value

    def facts(self, tool: ToolFacts | None) -> tuple[ToolFacts, PrincipalFacts]:
        """What rules know of this call; a tool that is not offered has a name only."""
        given = self.cleaned_data
        name = given["tool"]
        known = tool or ToolFacts(name, name.partition(".")[0], "write")
        return known, PrincipalFacts(
            id=given["key"] or f"sa:{given['team']}/sample",
            kind="service_account",
            label="sample",
            team=given["team"],
            environment=given["environment"],
            key=given["key"],
        )


class ExplainForm(SampleForm):
    """A call to be explained: by a key, or by a service account as it might be."""

    language = forms.ChoiceField(label="Script in", choices=[*LANGUAGES.items()])
    model = forms.CharField(
        max_length=100, required=False, help_text="As the agent names it."
    )
    gvisor = forms.TypedChoiceField(
        label="Sandbox",
        choices=[("yes", "gVisor"), ("no", "without a kernel of its own")],
        coerce=lambda value: value == "yes",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["key"].help_text = (
            "The prefix of a key: its own team, environment and scopes hold. Without "
            "one, every scope of the team above."
        )


def initial_of_call(call: ToolCall) -> dict[str, Any]:
    """A past call; its arguments are as recorded, without what was redacted."""
    return {
        "tool": call.tool,
        "team": call.run.team,
        "environment": call.run.environment,
        "key": call.run.key,
        "mode": call.run.mode,
        "language": call.run.language,
        "model": call.run.model,
        "gvisor": "no" if NEEDS_GVISOR in call.reasons else "yes",
        "arguments": json.dumps(call.arguments, indent=2, ensure_ascii=False),
    }
