"""How a sink is named in the trail, and how its errors are told."""

from audit.actor import Target
from audit.models import Sink
from audit.redact import hide, redact_text
from core.errors import TollgateError


def clean(sink: Sink, message: str) -> str:
    """An error without the sink's secrets, whatever a receiver echoed."""
    try:
        secrets = set(sink.secrets.values())
    except TollgateError:
        secrets = set()
    return redact_text(hide(message, secrets))[:300]


def target_of(sink: Sink) -> Target:
    """The sink as the trail names it."""
    return Target("audit_sink", str(sink.pk), sink.name)
