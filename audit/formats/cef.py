"""ArcSight Common Event Format, version 0 (implementation standard 25)."""

from audit.formats.items import (
    CHECKPOINT,
    PRODUCT,
    VERSION,
    Anchor,
    Item,
    Sealed,
    denied,
)

_LONGEST = 1_023
_NOTICE, _REFUSAL = 3, 6


def render(item: Item) -> str:
    """One line; its fields are cut at 1,023 characters, as the format has it."""
    fields = _anchor(item) if isinstance(item, Anchor) else _event(item)
    name = CHECKPOINT if isinstance(item, Anchor) else item.name
    head = (PRODUCT, PRODUCT, VERSION, name, item.summary)
    severity = _REFUSAL if denied(item) else _NOTICE
    words = " ".join(f"{key}={_value(text)}" for key, text in fields.items() if text)
    return f"CEF:0|{'|'.join(map(_header, head))}|{severity}|{words}"


def _event(item: Sealed) -> dict[str, str]:
    facts = item.facts
    actor, target = facts["actor"], facts["target"] or {}
    fields = {
        "rt": _millis(item),
        "externalId": item.uid,
        "suser": actor["label"],
        "suid": actor["id"],
        "src": actor.get("address", ""),
        "act": facts["decision"],
        "outcome": str(facts["payload"].get("outcome", "")),
        "reason": "; ".join(facts["reasons"]),
        "duid": target.get("id", ""),
        "duser": target.get("label", ""),
        "msg": item.summary,
    }
    labelled = {
        "team": actor.get("team", ""),
        "environment": actor.get("environment", ""),
        "tool": facts["tool"],
        "run": facts["run"],
        "request": actor.get("request_id", ""),
        "leaf": item.leaf,
    }
    return fields | _custom(labelled) | _number(1, "index", item.index)


def _anchor(item: Anchor) -> dict[str, str]:
    fields = {"rt": _millis(item), "externalId": item.uid, "msg": item.note}
    return fields | _custom({"root": item.root}) | _number(1, "size", item.size)


def _custom(labelled: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, (label, text) in enumerate(labelled.items(), start=1):
        if text:
            found |= {f"cs{place}Label": label, f"cs{place}": text}
    return found


def _number(place: int, label: str, number: int) -> dict[str, str]:
    return {f"cn{place}Label": label, f"cn{place}": str(number)}


def _millis(item: Item) -> str:
    return str(int(item.at.timestamp() * 1_000))


def _header(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace("|", "\\|")
    return " ".join(plain.split())[:_LONGEST]


def _value(text: str) -> str:
    plain = text[:_LONGEST].replace("\\", "\\\\").replace("=", "\\=")
    return plain.replace("\r", "\\r").replace("\n", "\\n")
