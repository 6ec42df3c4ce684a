"""What a model server says of an answer's tokens, and an estimate where it does not."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from core.errors import Invalid
from finops.model_usage import ModelUsage

_CACHED = ("cached_tokens",)
_WRITTEN = ("cache_write_tokens", "cache_creation_tokens")
_REASONED = ("reasoning_tokens",)


@dataclass(frozen=True, slots=True)
class Said:
    """Of one answer: its usage (None: not said), its id, and its text so far."""

    usage: ModelUsage | None = None
    answer: str = ""
    text: str = ""


def said_in(body: bytes) -> Said:
    """What a whole answer says."""
    try:
        given = orjson.loads(body)
    except orjson.JSONDecodeError:
        return Said(text=body.decode(errors="replace"))
    if not isinstance(given, dict):
        return Said(text=body.decode(errors="replace"))
    return Said(usage_of(given), answer_id(given), text_of(given))


def usage_of(given: Mapping[str, Any]) -> ModelUsage | None:
    """The usage in an answer or a chunk; None where it is not there or impossible."""
    usage = given.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = (
        _whole(usage, "prompt_tokens"),
        _whole(usage, "completion_tokens"),
    )
    if prompt is None and completion is None:
        return None
    found = ModelUsage(
        input=prompt,
        output=completion,
        cached_read=_part(usage.get("prompt_tokens_details"), _CACHED),
        cache_write=_part(usage.get("prompt_tokens_details"), _WRITTEN),
        reasoning=_part(usage.get("completion_tokens_details"), _REASONED),
    )
    try:
        list(found.parts())
    except Invalid:
        # Parts beyond the whole are a mistake of the server: the whole is kept.
        return ModelUsage(input=prompt, output=completion)
    return found


def answer_id(given: Mapping[str, Any]) -> str:
    """The server's own id of the answer, where it can be one."""
    found = given.get("id")
    if isinstance(found, str) and found.isprintable() and len(found) <= 200:
        return found.strip()
    return ""


def text_of(given: Mapping[str, Any]) -> str:
    """All that the model wrote in an answer or a chunk, tool calls among it."""
    choices = given.get("choices")
    parts = []
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        said = choice.get("message") or choice.get("delta")
        if not isinstance(said, dict):
            continue
        for name in ("reasoning_content", "reasoning", "content", "refusal"):
            if isinstance(said.get(name), str):
                parts.append(said[name])
        for name in ("tool_calls", "function_call"):
            if said.get(name):
                parts.append(orjson.dumps(said[name]).decode())
    return "".join(parts)


def _whole(usage: Mapping[str, Any], name: str) -> int | None:
    found = usage.get(name)
    good = isinstance(found, int) and not isinstance(found, bool) and found >= 0
    return found if good else None


def _part(details: Any, names: tuple[str, ...]) -> int | None:
    if not isinstance(details, dict):
        return None
    return next(
        (found for name in names if (found := _whole(details, name)) is not None), None
    )
