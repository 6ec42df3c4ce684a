"""Typed signatures of tools, as agents read them and scripts call them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.codemode.definitions import ToolDef
from gateway.codemode.pytypes import ANY, Types, literal
from gateway.codemode.schemas import Parameters, is_plain_name, parameters
from gateway.codemode.typescript import typescript_signature

__all__ = ["call_line", "first_sentence", "signature", "typescript_signature"]

# Where a path into the result begins, beside `$` for the arguments.
RETURN = "$.return"
_MAX_DESCRIPTION = 600
_MAX_NOTE = 140
_MAX_CUTS = 6
_MAX_PARAMETERS = 40
_MAX_DEFAULT = 40


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    kind: str
    required: bool
    default: str
    note: str

    @property
    def text(self) -> str:
        if self.required:
            return f"{self.name}: {self.kind}"
        if self.default:
            return f"{self.name}: {self.kind} = {self.default}"
        kind = self.kind
        if kind != ANY and not kind.endswith("None"):
            kind = f"{kind} | None"
        return f"{self.name}: {kind} = None"


def first_sentence(text: str, limit: int = _MAX_NOTE) -> str:
    """The first sentence of a description on one line, cut at a word."""
    # A line break before a capital ends a headline that has no full stop.
    text = re.split(r"\n\s*\n|(?<=[\w)])\s*\n(?=\s*[A-Z])", text.strip(), maxsplit=1)[0]
    flat = " ".join(text.split())
    match = re.search(r"[.!?](?=\s)", flat)
    sentence = flat[: match.end()] if match else flat
    if len(sentence) <= limit:
        return sentence
    return sentence[:limit].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def signature(tool: ToolDef) -> str:
    """TypedDicts, `def` line and docstring of a tool: valid Python to read.

    An optional parameter with `= None` is left out of the call when it is None.
    """
    types = Types(tool.input_schema, max_depth=2)
    takes = parameters(tool.input_schema)
    found = _read(takes, types)
    returns, output = _returns(tool, types)
    lines = [*types.classes, *output.classes]
    lines.append(f"def {tool.name}({_arguments(found, takes)}) -> {returns}:")
    lines += _docstring(tool, found, takes)
    lines += _cuts("input", types.cuts) + _cuts("output", output.cuts)
    return "\n".join(lines)


def call_line(tool: ToolDef) -> str:
    """The signature on one line with its full name, for error messages."""
    takes = parameters(tool.input_schema)
    found = _read(takes, Types(tool.input_schema, max_depth=0))
    odd = ", ".join(
        f'"{one.name}": {one.kind}{"" if one.required else " | omitted"}'
        for one in found
        if not is_plain_name(one.name)
    )
    text = _arguments(found, takes)
    if odd:
        text = text.replace("**others: Any", f"**{{{odd}}}")
    return f"{tool.full_name}({text})"


def _read(takes: Parameters, types: Types) -> list[_Parameter]:
    names = sorted(takes.properties, key=lambda name: name not in takes.required)
    found: list[_Parameter] = []
    for name in names[:_MAX_PARAMETERS]:
        schema = takes.properties[name]
        part = schema if isinstance(schema, Mapping) else {}
        found.append(
            _Parameter(
                name=name,
                kind=types.of(schema, f"$.{name}", name),
                required=name in takes.required,
                default=_default(part),
                note=_note(part),
            )
        )
    return found


def _default(part: Mapping[str, Any]) -> str:
    text = literal(part["default"]) if "default" in part else None
    return text if text is not None and len(text) <= _MAX_DEFAULT else ""


def _note(part: Mapping[str, Any]) -> str:
    notes = [first_sentence(str(part.get("description") or ""))]
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None or high is not None:
        notes.append(f"({'' if low is None else low}..{'' if high is None else high})")
    if isinstance(part.get("format"), str):
        notes.append(f"({part['format']})")
    values = part.get("enum")
    if isinstance(values, list) and len(values) > 12:
        shown = ", ".join(str(value) for value in values[:8])
        notes.append(f"(one of {shown} and {len(values) - 8} more)")
    return " ".join(note for note in notes if note)


def _arguments(found: list[_Parameter], takes: Parameters) -> str:
    plain = [one.text for one in found if is_plain_name(one.name)]
    rest = len(plain) < len(takes.properties) or not takes.closed
    parts = (["*", *plain] if plain else []) + (["**others: Any"] if rest else [])
    return ", ".join(parts)


def _returns(tool: ToolDef, types: Types) -> tuple[str, Types]:
    schema = tool.output_schema
    output = Types(schema or {}, max_depth=2, taken=tuple(types.names))
    if not schema:
        return ANY, output
    return output.of(schema, RETURN, f"{tool.name}_result"), output


def _docstring(tool: ToolDef, found: list[_Parameter], takes: Parameters) -> list[str]:
    text = tool.description.strip() or tool.title
    if len(text) > _MAX_DESCRIPTION:
        text = text[:_MAX_DESCRIPTION].rsplit(" ", 1)[0] + " …"
    notes = [f"{one.name}: {one.note}" for one in found if one.note]
    odd = [one for one in found if not is_plain_name(one.name)]
    if odd:
        example = ", ".join(f'"{one.name}": …' for one in odd[:3])
        notes.append(f"Pass by **{{{example}}}:")
        for one in odd:
            need = "required" if one.required else "optional"
            notes.append(f'  "{one.name}": {one.kind}, {need}')
    hidden = len(takes.properties) - len(found)
    if hidden > 0:
        notes.append(f"and {hidden} more optional parameters: get_schema detail=full")
    if not notes and "\n" not in text:
        return [f'    """{_quotable(text)}"""']
    body = [*text.splitlines(), *([""] if text and notes else []), *notes]
    indented = [f"    {line.rstrip()}".rstrip() for line in map(_quotable, body)]
    first = indented[0].strip() if indented else ""
    return [f'    """{first}', *indented[1:], '    """']


def _quotable(text: str) -> str:
    # A docstring must stay one: no closing quotes, no stray escapes.
    text = text.replace("\\", "\\\\").replace('"""', "'''")
    text = "".join(
        char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
    return f"{text} " if text.endswith('"') else text


def _cuts(which: str, cuts: list[str]) -> list[str]:
    if not cuts:
        return []
    shown = ", ".join(cuts[:_MAX_CUTS])
    more = f" and {len(cuts) - _MAX_CUTS} more" if len(cuts) > _MAX_CUTS else ""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in shown)
    return [f"    # Cut from the {which}: {text}{more}; see get_schema with path"]
