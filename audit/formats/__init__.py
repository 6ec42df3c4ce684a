"""The formats that a sink may write."""

from collections.abc import Callable, Mapping
from typing import Any

from audit.formats import cef, jsonl, ocsf
from audit.formats.items import Item

OCSF, CEF, JSON = "ocsf", "cef", "json"
LABELS = {
    OCSF: f"OCSF {ocsf.SCHEMA}",
    CEF: "CEF",
    JSON: "JSON, the sealed body itself",
}
_LINES: Mapping[str, Callable[[Item], str]] = {
    OCSF: ocsf.render,
    CEF: cef.render,
    JSON: jsonl.render,
}
_VALUES: Mapping[str, Callable[[Item], Any]] = {
    OCSF: ocsf.as_dict,
    CEF: cef.render,
    JSON: jsonl.as_dict,
}


def line(form: str, item: Item) -> str:
    """One line of text, without its end."""
    return _LINES[form](item)


def value(form: str, item: Item) -> Any:
    """The same as a JSON value; CEF stays text."""
    return _VALUES[form](item)
