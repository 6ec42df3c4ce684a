"""The form of one rule: as it is typed, and the document that it stands for."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from gateway.rule_words import EFFECT_WORDS, duration
from policy.checks import DAYS, PII
from policy.forms import TollgateForm
from policy.routing import ROLES
from policy.rule import (
    APPROVE,
    BOUNDS,
    ENFORCE,
    LIMIT,
    MONITOR,
    REDACT,
    SELECT_FIELDS,
    InvalidRules,
    Rule,
)
from policy.rule_reader import KINDS
from policy.rules import parse

_WORD = re.compile(r'"([^"]*)"|([^\s,]+)')
_DURATION = re.compile(r"(\d{1,8})\s*(s|min|m|h|d)?\Z")
_SECONDS = {None: 1, "s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
_KIND_WORDS = {
    "pii": "Personal data",
    "secrets": "Secrets",
    "url_domains": "URLs of other domains",
    "email_domains": "E-mail addresses of other domains",
    "max_amount": "An amount above a maximum",
    "working_hours": "Outside working hours",
}
# What a check takes beside its kind, and what it may look at.
_CHECK_FIELDS = {
    "pii": ("in", "find", "paths"),
    "secrets": ("in", "paths"),
    "url_domains": ("allow", "paths"),
    "email_domains": ("allow", "paths"),
    "max_amount": ("path", "max"),
    "working_hours": ("zone", "days", "from", "to", "holidays"),
}
# Fields of the document whose form field has another name.
_OWN_NAMES = {
    "rule": "id",
    "check": "check_kind",
    "approve": "approve_by",
    "approve_role": "approve_by",
    "approve_group": "approve_by",
    "approve_expires_seconds": "approve_expires",
    "approve_escalate_after_seconds": "approve_escalate_after",
    "redact": "redact_results",
    "limit": "limit_argument_bytes",
}


def words(text: str) -> list[str]:
    """Words with spaces or commas between; quoted ones may hold either."""
    return [quoted or plain for quoted, plain in _WORD.findall(text)]


def as_words(names: Iterable[str]) -> str:
    """What ``words`` reads again."""
    return " ".join(f'"{one}"' if re.search(r"[\s,]", one) else one for one in names)


def lines(text: str) -> list[str]:
    """The lines that hold something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


class DurationField(forms.CharField):
    """A time such as ``24 h``; seconds where no unit is given."""

    def clean(self, value: Any) -> int | None:
        text = super().clean(value).strip()
        if not text:
            return None
        found = _DURATION.match(text)
        if not found:
            raise forms.ValidationError("Write such as 90 min, 24 h or 7 d.")
        return int(found[1]) * _SECONDS[found[2]]


def _text(label: str, help_text: str = "", **more: Any) -> forms.CharField:
    most = more.pop("max_length", 4_000)
    return forms.CharField(
        label=label, required=False, max_length=most, help_text=help_text, **more
    )


def _area(rows: int) -> forms.Textarea:
    return forms.Textarea(attrs={"rows": rows, "spellcheck": "false"})


def _completed(field: str) -> forms.TextInput:
    """Names are offered while one is typed; see static/js/complete.js."""
    return forms.TextInput(
        attrs={"data-complete": field, "autocomplete": "off", "spellcheck": "false"}
    )


class RuleForm(TollgateForm):
    """One rule. ``document`` is what it stands for, ``rule`` the rule once valid."""

    id = forms.CharField(
        label="Short name",
        max_length=60,
        help_text="Small letters, digits and dashes; the trail names it by this.",
    )
    title = _text("Title", max_length=200)
    effect = forms.ChoiceField(label="What it does", choices=EFFECT_WORDS.items())
    mode = forms.ChoiceField(
        choices=[(ENFORCE, "Enforce"), (MONITOR, "Monitor: only record")],
    )
    enabled = forms.BooleanField(label="In use", required=False, initial=True)
    message = _text(
        "What the agent is told", "A sentence that helps it go on.", max_length=500
    )
    when = _text(
        "Condition",
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "spellcheck": "false",
                "autocapitalize": "none",
                "autocomplete": "off",
                "data-complete": "when",
                "placeholder": "args.amount > 500",
            }
        ),
    )
    check_kind = forms.ChoiceField(
        label="Built-in check",
        required=False,
        choices=[("", "None"), *((kind, _KIND_WORDS[kind]) for kind in KINDS)],
    )
    check_in = forms.ChoiceField(
        label="Looks at",
        required=False,
        choices=[
            ("arguments", "Arguments"),
            ("results", "Results"),
            ("both", "Both"),
        ],
    )
    check_find = forms.MultipleChoiceField(
        label="Looks for",
        required=False,
        choices=[(kind, kind) for kind in PII],
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all of them.",
    )
    check_allow = _text("Allowed domains", "Such as acme.com *.acme.com")
    check_paths = _text(
        "Only at these paths", "One a line; empty: everywhere.", widget=_area(2)
    )
    check_path = _text("Path of the amount", "Such as amount or items[].price")
    check_max = _text("Maximum", max_length=40)
    check_zone = _text("Time zone", initial="UTC", max_length=60)
    check_days = forms.MultipleChoiceField(
        label="Working days",
        required=False,
        choices=[(day, day) for day in DAYS],
        initial=DAYS[:5],
        widget=forms.CheckboxSelectMultiple,
    )
    check_from = _text("From", initial="09:00", max_length=5)
    check_to = _text("To", initial="17:00", max_length=5)
    check_holidays = _text("Holidays", "Such as 2026-12-25 2027-01-01")
    approve_by = forms.ChoiceField(label="Who has to agree", required=False)
    approve_quorum = forms.IntegerField(
        label="How many of them", required=False, min_value=1, initial=1
    )
    approve_expires = DurationField(
        label="Expires after", required=False, help_text="Such as 24 h."
    )
    approve_escalate_after = DurationField(
        label="Escalate after", required=False, help_text="Such as 2 h."
    )
    approve_escalate_to = forms.ChoiceField(label="Escalate to", required=False)
    redact_arguments = _text(
        "Hide in the record of arguments",
        "Paths, one a line, such as customer.email. The tool still gets them.",
        widget=_area(2),
    )
    redact_results = _text(
        "Hide in results",
        "Paths, one a line, such as rows[].card. The script never sees them.",
        widget=_area(2),
    )
    limit_argument_bytes = forms.IntegerField(
        label="Bytes of arguments", required=False, min_value=0
    )
    limit_result_bytes = forms.IntegerField(
        label="Bytes of a result", required=False, min_value=0
    )
    limit_calls_per_run = forms.IntegerField(
        label="Calls in one run", required=False, min_value=0
    )
    limit_items = _text(
        "Items in lists", "Lines such as args.ids: 100", widget=_area(2)
    )

    def __init__(self, *args: Any, groups: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        asked = [
            *((f"role:{role}", f"Role {role}") for role in ROLES),
            *((f"group:{name}", f"Group {name}") for name in groups),
        ]
        self.fields["approve_by"].choices = asked  # type: ignore[attr-defined]
        nobody = [("", "Nobody"), *asked]
        self.fields["approve_escalate_to"].choices = nobody  # type: ignore[attr-defined]
        self.rule: Rule | None = None

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if self.errors:
            return values
        try:
            self.rule = parse(self.document())
        except InvalidRules as error:
            for problem in error.problems:
                self.add_error(field_of(problem["field"]), problem["message"])
        return values

    def document(self) -> dict[str, Any]:
        """The rule as a document, without what its effect has no use for."""
        given = self.cleaned_data
        document: dict[str, Any] = {
            name: given[name] for name in ("id", "title", "enabled", "mode", "effect")
        }
        document["select"] = {
            name: chosen for name in SELECT_FIELDS if (chosen := words(given[name]))
        }
        document |= {"when": given["when"], "message": given["message"]}
        if kind := given["check_kind"]:
            document["check"] = _check(kind, given)
        part = {APPROVE: _approve, REDACT: _redact, LIMIT: _limit}.get(given["effect"])
        if part:
            name = {APPROVE: "approve", REDACT: "redact", LIMIT: "limit"}
            document[name[given["effect"]]] = part(given)
        return document


for _field in SELECT_FIELDS:
    RuleForm.base_fields[_field] = _text(
        _field.capitalize(), widget=_completed(_field), max_length=10_000
    )


def field_of(name: str) -> str | None:
    """The form's field for one of the document; None for the form as a whole."""
    flat = name.removeprefix("select.").replace(".", "_")
    if flat.startswith("limit_items"):
        return "limit_items"
    flat = _OWN_NAMES.get(flat, flat)
    return flat if flat in RuleForm.base_fields else None


def _check(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = {"kind": kind}
    for name in _CHECK_FIELDS[kind]:
        value = given[f"check_{name}"]
        if name == "paths":
            value = lines(value)
        elif name in {"allow", "holidays"}:
            value = words(value)
        if value:
            check[name] = value
    return check


def _audience(text: str) -> dict[str, str]:
    kind, _, name = text.partition(":")
    return {kind: name} if name else {}


def _approve(given: Mapping[str, Any]) -> dict[str, Any]:
    route: dict[str, Any] = _audience(given["approve_by"] or "role:approver")
    route["quorum"] = given["approve_quorum"] or 1
    if given["approve_expires"]:
        route["expires_seconds"] = given["approve_expires"]
    if given["approve_escalate_after"]:
        route["escalate_after_seconds"] = given["approve_escalate_after"]
    if given["approve_escalate_to"]:
        route["escalate_to"] = _audience(given["approve_escalate_to"])
    return route


def _redact(given: Mapping[str, Any]) -> dict[str, Any]:
    sides = {side: lines(given[f"redact_{side}"]) for side in ("arguments", "results")}
    return {side: paths for side, paths in sides.items() if paths}


def _limit(given: Mapping[str, Any]) -> dict[str, Any]:
    limit: dict[str, Any] = {
        name: given[f"limit_{name}"]
        for name in BOUNDS
        if given[f"limit_{name}"] is not None
    }
    items: dict[str, Any] = {}
    for line in lines(given["limit_items"]):
        path, _, most = line.rpartition(":")
        text = most.strip()
        items[path.strip()] = int(text) if text.isascii() and text.isdigit() else text
    return limit | ({"items": items} if items else {})


def initial_of(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What the form shows for a rule's document."""
    shown = {
        name: rule[name]
        for name in ("id", "title", "mode", "effect", "when", "message")
        if name in rule
    }
    shown["enabled"] = rule.get("enabled", True)
    for name, chosen in rule.get("select", {}).items():
        shown[name] = as_words(chosen)
    for name, value in rule.get("check", {}).items():
        if name == "paths":
            value = "\n".join(value)
        elif name in {"allow", "holidays"}:
            value = as_words(value)
        shown[f"check_{name}"] = value
    shown |= _initial_approval(rule.get("approve", {}))
    for side, paths in rule.get("redact", {}).items():
        shown[f"redact_{side}"] = "\n".join(paths)
    for name, value in rule.get("limit", {}).items():
        if name == "items":
            value = "\n".join(f"{path}: {most}" for path, most in value.items())
        shown[f"limit_{name}"] = value
    return shown


def _initial_approval(route: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for kind in ("role", "group"):
        if kind in route:
            shown["approve_by"] = f"{kind}:{route[kind]}"
        if kind in route.get("escalate_to", {}):
            shown["approve_escalate_to"] = f"{kind}:{route['escalate_to'][kind]}"
    if "quorum" in route:
        shown["approve_quorum"] = route["quorum"]
    for name in ("expires", "escalate_after"):
        if seconds := route.get(f"{name}_seconds"):
            shown[f"approve_{name}"] = duration(seconds)
    return shown


class DraftForm(TollgateForm):
    name = forms.CharField(
        label="Name of the draft",
        max_length=100,
        help_text="What it is about, such as “Refunds above 500”.",
    )


class UploadForm(TollgateForm):
    """Rules as YAML: a file, or text."""

    name = forms.CharField(label="Name of the draft", max_length=100)
    file = forms.FileField(
        label="YAML file", required=False, max_length=200, allow_empty_file=False
    )
    yaml = forms.CharField(
        label="Or its text",
        required=False,
        max_length=2_000_000,
        widget=forms.Textarea(
            attrs={"rows": 14, "spellcheck": "false", "class": "form-control tg-mono"}
        ),
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        file, text = values.get("file"), values.get("yaml", "")
        if bool(file) == bool(text) and not self.errors:
            self.add_error("yaml", "Choose a file, or paste its text.")
        if file:
            try:
                values["yaml"] = file.read(2_000_001).decode()
            except UnicodeDecodeError:
                self.add_error("file", "The file is no UTF-8 text.")
        return values


class WhyForm(TollgateForm):
    reason = forms.CharField(
        max_length=400, help_text="It is what an auditor will read."
    )
