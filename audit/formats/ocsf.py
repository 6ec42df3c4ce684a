"""Open Cybersecurity Schema Framework 1.8.0."""

import ipaddress
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any

from audit.formats.items import CHECKPOINT, PRODUCT, VERSION, Anchor, Item, Sealed
from audit.formats.ocsf_classes import (
    ACCOUNT,
    ACTIVITIES,
    API,
    CLASS_NAMES,
    EFFECTS,
    ENTITY,
    FAULT,
    FINDING,
    FOUND,
    GROUP,
    INFORMATIONAL,
    LIFECYCLE,
    LOGON,
    LOW,
    MAPPINGS,
    OTHER,
    SESSION,
    UNKNOWN_KIND,
    Mapping,
)
from core.canonical import canonical

SCHEMA = "1.8.0"
_CATEGORIES = {
    2: "Findings",
    3: "Identity & Access Management",
    6: "Application Activity",
}
_SEVERITIES = ("Unknown", "Informational", "Low", "Medium", "High", "Critical")
_SUCCESS, _FAILURE = 1, 2
_KEPT = ("payload", "before", "after", "reasons", "run", "step", "policy_version")
_USER_TYPES = {"user": 1, "system": 3, "service_account": 4}
_POLICY = 5
_USER_NAME, _IP = 4, 2
_ACTIONS = {"allow": (1, "Allowed"), "deny": (2, "Denied")}
_BAD_ENDS = ("failed", "refused", "denied", "throttled", "dead", "hidden")
_GOOD_OUTCOMES = {"ok", "succeeded"}
Json = dict[str, Any]


def render(item: Item) -> str:
    """One line of JSON."""
    return canonical(as_dict(item)).decode()


def as_dict(item: Item) -> Json:
    """The event as an OCSF object."""
    if isinstance(item, Anchor):
        return _anchor(item)
    kind, facts = _kind(item), item.facts
    activity = kind.activity
    if kind.class_uid == API and (effect := facts["payload"].get("effect")):
        activity = EFFECTS.get(effect, activity)
    refused = facts["decision"] == "deny"
    severity = max(kind.severity, LOW) if refused else kind.severity
    return {
        **_head(kind.class_uid, activity, severity, item.at, item.name),
        **_control(facts),
        **(_status(item.name, facts) if kind.class_uid != FINDING else {}),
        **_CLASSES[kind.class_uid](item, kind),
        "metadata": _metadata(item),
        "message": item.summary,
        "unmapped": _unmapped(item),
    }


def _kind(item: Sealed) -> Mapping:
    if item.name == "audit.verified" and item.facts["payload"].get("findings"):
        return FOUND
    return MAPPINGS.get(item.name, UNKNOWN_KIND)


def _anchor(item: Anchor) -> Json:
    metadata = {
        "product": _product(),
        "version": SCHEMA,
        "uid": item.uid,
        "event_code": CHECKPOINT,
        "log_name": "tollgate.audit",
        "logged_time": _millis(item.at),
    }
    return {
        **_head(LIFECYCLE, OTHER, INFORMATIONAL, item.at, CHECKPOINT),
        "app": _product(),
        "status_id": _SUCCESS,
        "metadata": metadata,
        "message": item.summary,
        "unmapped": {
            "checkpoint": {"size": item.size, "root": item.root, "note": item.note}
        },
    }


def _head(
    class_uid: int, activity: int, severity: int, at: datetime, name: str
) -> Json:
    category = class_uid // 1_000
    said = ACTIVITIES[class_uid].get(activity, name)
    typed = said if activity < OTHER else "Other"
    return {
        "category_uid": category,
        "category_name": _CATEGORIES[category],
        "class_uid": class_uid,
        "class_name": CLASS_NAMES[class_uid],
        "activity_id": activity,
        "activity_name": said,
        "type_uid": class_uid * 100 + activity,
        "type_name": f"{CLASS_NAMES[class_uid]}: {typed}",
        "severity_id": severity,
        "severity": _SEVERITIES[severity],
        "time": _millis(at),
    }


def _control(facts: Json) -> Json:
    """The profile ``security_control``, where something was decided."""
    decision = facts["decision"]
    if not decision:
        return {}
    allowed = decision == "allow"
    return {
        "action_id": 1 if allowed else 2 if decision == "deny" else OTHER,
        "action": "Allowed"
        if allowed
        else "Denied"
        if decision == "deny"
        else decision,
        "disposition_id": 1 if allowed else 2 if decision == "deny" else OTHER,
        "authorizations": [{"decision": decision}],
    }


def _status(name: str, facts: Json) -> Json:
    outcome = facts["payload"].get("outcome") or facts["payload"].get("status") or ""
    reasons = "; ".join(facts["reasons"])
    if facts["decision"] == "deny" or name.rpartition(".")[2].endswith(_BAD_ENDS):
        number = _FAILURE
    elif name in {"call.ended", "run.ended"}:
        number = _SUCCESS if outcome in _GOOD_OUTCOMES else _FAILURE
        number = 0 if outcome == "unknown" else number
    else:
        number = _SUCCESS
    said = {0: "Unknown", _SUCCESS: "Success", _FAILURE: "Failure"}[number]
    return {
        "status_id": number,
        "status": said,
        **({"status_code": str(outcome)} if outcome else {}),
        **({"status_detail": reasons} if reasons else {}),
    }


def _metadata(item: Sealed) -> Json:
    facts = item.facts
    correlation = facts["run"] or facts["actor"].get("request_id", "")
    found: Json = {
        "product": _product(),
        "version": SCHEMA,
        "uid": item.uid,
        "event_code": item.name,
        "sequence": item.index,
        "log_name": "tollgate.audit",
        "logged_time": _millis(item.at),
        "original_time": facts["at"],
    }
    if profiles := _profiles(item):
        found["profiles"] = profiles
    return found | ({"correlation_uid": correlation} if correlation else {})


def _profiles(item: Sealed) -> list[str]:
    called = _kind(item).class_uid == API
    decided = ["security_control"] if item.facts["decision"] else []
    return decided + (["trace"] if called and _trace_id(item.facts) else [])


def _unmapped(item: Sealed) -> Json:
    """What the schema has no place for; ``leaf`` ties the record to the tree."""
    facts = item.facts
    kept: Json = {"index": item.index, "leaf": item.leaf}
    for name in _KEPT:
        if facts.get(name) not in (None, "", [], {}):
            kept[name] = facts[name]
    for name in ("team", "environment", "key"):
        if facts["actor"].get(name):
            kept[name] = facts["actor"][name]
    return kept


def _trace_id(facts: Json) -> str:
    return str(facts["actor"].get("trace_id") or "")


def _product() -> Json:
    return {
        "name": PRODUCT,
        "vendor_name": PRODUCT,
        "version": VERSION,
        "feature": {"name": "audit"},
    }


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1_000)


# What each class asks for beside the head.


def _user(facts: Json) -> Json:
    actor = facts["actor"]
    user: Json = {
        "uid": actor["id"] or "unknown",
        "name": actor["label"] or actor["id"] or "unknown",
        "type_id": _USER_TYPES.get(actor["kind"], 0),
    }
    if actor.get("team"):
        user["groups"] = [{"uid": actor["team"], "type": "team"}]
    return user


def _who(facts: Json) -> Json:
    """Actor and where the request came from."""
    actor: Json = {"user": _user(facts)}
    if key := facts["actor"].get("key"):
        actor["session"] = {"uid": facts["actor"].get("request_id") or key}
        actor["session"]["credential_uid"] = key
    source: Json = {}
    with suppress(ValueError):
        source["ip"] = str(ipaddress.ip_address(facts["actor"].get("address", "")))
    if not source:
        source["name"] = facts["actor"]["label"] or facts["actor"]["id"] or "unknown"
    return {"actor": actor, "src_endpoint": source}


def _about(facts: Json) -> Json:
    """The target as a user, group, entity or resource may be named."""
    target = facts["target"] or facts["actor"]
    uid = target["id"] or target["label"] or "unknown"
    return {"uid": uid, "name": target["label"] or uid}


def _api(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    operation: Json = {"operation": facts["tool"] or item.name}
    if server := facts["tool"].partition(".")[0]:
        operation["service"] = {"name": server}
    if request := facts["actor"].get("request_id"):
        operation["request"] = {"uid": request}
    if error := facts["payload"].get("error"):
        operation["response"] = {"error": str(error)}
    found = {**_who(facts), "api": operation}
    if facts["target"]:
        found["resources"] = [_about(facts) | {"type": facts["target"]["kind"]}]
    if trace := _trace_id(facts):
        found["trace"] = {"uid": trace}
    return found


def _logon(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    who = _who(facts)
    user = who["actor"]["user"]
    if username := facts["payload"].get("username") or facts["payload"].get("prefix"):
        user = user | {"name": str(username)}
    return {**who, "user": user, "service": {"name": PRODUCT}, "is_remote": True}


def _account(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    return {**_who(facts), "user": _about(facts)}


def _session(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    found = {**_who(facts), "user": _user(facts)}
    found["privileges"] = [facts["tool"] or _about(facts)["name"]]
    if facts["run"]:
        found["session"] = {"uid": facts["run"]}
    return found


def _entity(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    what = (facts["target"] or {}).get("kind") or item.name.partition(".")[0]
    policy = what in {"policy", "rule_set", "draft", "rules"}
    entity = _about(facts) | {"type": what, "type_id": _POLICY if policy else OTHER}
    found = {**_who(facts), "entity": entity}
    if facts["before"]:
        found["entity"] = entity | {"data": facts["before"]}
    if facts["after"]:
        found["entity_result"] = entity | {"data": facts["after"]}
    if reason := facts["payload"].get("reason"):
        found["comment"] = str(reason)
    return found


def _group(item: Sealed, kind: Mapping) -> Json:
    facts, payload = item.facts, item.facts["payload"]
    about = _about(facts)
    found = {**_who(facts), "group": about | {"type": item.name.partition(".")[0]}}
    if item.name.startswith("grant."):
        holder = str(payload.get("holder") or "unknown")
        found["group"] = {"uid": holder, "name": holder, "type": "holder"}
        found["privileges"] = [about["name"]]
        found["resource"] = about
    if user := payload.get("user"):
        found["user"] = {"name": str(user)}
    if role := payload.get("role"):
        found["privileges"] = [str(role)]
    return found


def _lifecycle(item: Sealed, kind: Mapping) -> Json:
    facts = item.facts
    who, app = _who(facts), _about(facts)
    if version := facts["payload"].get("version"):
        app["version"] = str(version)
    # The class has no place for people.
    return {"app": app, "observables": _observables(who)}


def _fault(item: Sealed, kind: Mapping) -> Json:
    return {"observables": _observables(_who(item.facts))}


def _finding(item: Sealed, kind: Mapping) -> Json:
    return {
        "finding_info": {
            "uid": item.uid,
            "title": item.summary,
            "created_time": _millis(item.at),
        },
        "is_alert": True,
        "status_id": 1,
        "status": "New",
        "observables": _observables(_who(item.facts)),
    }


def _observables(who: Json) -> list[Json]:
    user = who["actor"]["user"]
    found = [{"name": "actor.user.uid", "type_id": _USER_NAME, "value": user["uid"]}]
    if ip := who["src_endpoint"].get("ip"):
        found.append({"name": "src_endpoint.ip", "type_id": _IP, "value": ip})
    return found


_CLASSES: dict[int, Callable[[Sealed, Mapping], Json]] = {
    API: _api,
    LOGON: _logon,
    ACCOUNT: _account,
    SESSION: _session,
    ENTITY: _entity,
    GROUP: _group,
    LIFECYCLE: _lifecycle,
    FAULT: _fault,
    FINDING: _finding,
}
