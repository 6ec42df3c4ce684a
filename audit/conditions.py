"""Terms of a query as conditions on events, so that the indexes answer them."""

import re
import string
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, F, Func, Q, TextField, Value

from audit.query import QueryError, Term, Terms, moment
from audit.query import Value as Asked

_PUNCTUATION = re.compile(f"[{re.escape(string.punctuation)}]+")
# What stands between words, to PostgreSQL.
_GAP = "[^[:alnum:]]"
_UID = re.compile(r"evt_[0-9a-z]+")
_KIND = re.compile(r"[a-z_]+")
# Fields that are indexed as words, in the order of the index ``event_words``.
WORD_FIELDS = ("summary", "actor_label")
# Those whose target is not the tool they name: the condition of ``event_tgt``.
NOT_A_CALL = ~Q(target_id=F("tool"))
_COLUMNS = {
    "key": "key",
    "name": "name",
    "decision": "decision",
    "tool": "tool",
    "team": "team",
    "env": "environment",
    "run": "run",
    "request": "request_id",
    "trace": "trace_id",
    "ip": "client_address",
}


class _Document(Func):
    """The words of an event: the very expression of the index ``event_words``."""

    arg_joiner = " || ' ' || "
    template = "audit_words(%(expressions)s)"
    output_field = TextField()


class _Words(Func):
    template = "to_tsquery('simple', %(expressions)s)"
    output_field = TextField()


class _Has(Func):
    arg_joiner = " @@ "
    template = "(%(expressions)s)"
    output_field = BooleanField()


def condition(terms: Terms, *, zone: str, at: datetime) -> Q:
    """What events must fulfil. ``at`` is now, ``zone`` that of days without one."""
    whole = Q()
    for term in terms:
        one = Q()
        for value in term.values:
            one |= _one(term.qualifier, value, zone, at)
        whole &= ~one if term.negated else one
    return whole


def words(text: str, *, prefix: bool = False) -> Q:
    """That an event has these words, one after the other; ``prefix``: or begins so.

    All words are found by the index. That they stand next to each other is looked at
    in the text: an index without places would have each row parsed again.
    """
    found = _PUNCTUATION.sub(" ", text).split()
    asked = " & ".join(f"'{word}'" for word in found) + ":*" * prefix
    document = _Document(*(F(field) for field in WORD_FIELDS))
    has = Q(_Has(document, _Words(Value(asked))))
    if len(found) < 2:
        return has
    end = "" if prefix else f"({_GAP}|$)"
    phrase = f"(^|{_GAP}){f'{_GAP}+'.join(found)}{end}"
    return has & (Q(summary__iregex=phrase) | Q(actor_label__iregex=phrase))


def _one(qualifier: str, value: Asked, zone: str, at: datetime) -> Q:
    special: dict[str, Callable[[Asked], Q]] = {
        "": _text,
        "actor": actor,
        "server": _server,
        "target": _target,
        "digest": _same_value,
        "policy": lambda version: Q(policy_version=int(version.text)),
        "after": lambda text: Q(at__gte=_time(text, zone, at)),
        "before": lambda text: Q(at__lt=_time(text, zone, at)),
    }
    if qualifier in special:
        return special[qualifier](value)
    return column(_COLUMNS[qualifier], value)


def column(name: str, value: Asked) -> Q:
    """That a column is the value, or starts with it."""
    return Q(**{f"{name}__startswith" if value.prefix else name: value.text})


def actor(value: Asked) -> Q:
    """An actor's id, such as ``user:ann``, a user name, or words of the name."""
    if ":" in value.text or not any(map(str.isalnum, value.text)):
        return column("actor_id", value)
    named = Q(actor_label__icontains=value.text)
    named &= words(value.text, prefix=value.prefix)
    return column("actor_id", Asked(f"user:{value.text}", value.prefix)) | named


def by_actor(text: str) -> Q:
    """``actor`` for a text outside a query, which may end in ``*``."""
    return actor(Asked(text.removesuffix("*"), prefix=text.endswith("*")))


def _text(value: Asked) -> Q:
    if _UID.fullmatch(value.text) and not value.prefix:
        return Q(uid=value.text)
    return words(value.text, prefix=value.prefix)


def _server(value: Asked) -> Q:
    if not value.text:
        return Q(tool="") & ~Q(target_kind="server")
    calls = value.text if value.prefix else f"{value.text}."
    return Q(tool__startswith=calls) | (
        Q(target_kind="server") & column("target_id", value)
    )


def _target(value: Asked) -> Q:
    kind, slash, target = value.text.partition("/")
    if slash and _KIND.fullmatch(kind):
        return Q(target_kind=kind) & _target_id(Asked(target, value.prefix))
    return _target_id(value)


def _target_id(value: Asked) -> Q:
    """By the index of tools for calls, and by that of targets for all else."""
    found = column("target_id", value)
    return (found & column("tool", value)) | (found & NOT_A_CALL)


def _same_value(digest: Asked) -> Q:
    """In the bodies of calls: digests of arguments stand in no column."""
    return ~Q(tool="") & Q(body__contains=f'"{digest.text}"')


def time_of(term: Term, *, zone: str, at: datetime) -> datetime:
    """The time that a term with ``after`` or ``before`` names."""
    return _time(term.values[0], zone, at)


def _time(value: Asked, zone: str, at: datetime) -> datetime:
    found = moment(value.text, at=at)
    if found is None:
        raise QueryError(f"{value.text} is no time.", 0)
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))
