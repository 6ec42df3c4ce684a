"""Audit events of the catalog, runs and calls."""

from audit.registry import kind

SERVER_ADDED = kind("server.added", "{actor} added server {target}")
SERVER_CHANGED = kind(
    "server.changed", "{actor} changed server {target}", "secrets_replaced", "sealed"
)
SERVER_STATUS = kind(
    "server.status", "{actor} set server {target} to {status}", "message"
)
SERVER_SYNCED = kind(
    "server.synced",
    "Server {target} synced: {added} new, {changed} changed, {removed} removed, "
    "{refused} refused",
    "unchanged",
    "names",
)
SERVER_SYNC_FAILED = kind(
    "server.sync_failed", "Sync of {target} failed: {error}", "code"
)
TOOL_ADDED = kind("tool.added", "Tool {target} appeared", "version", "returned")
TOOL_CHANGED = kind("tool.changed", "Tool {target} changed to version {version}")
TOOL_REMOVED = kind("tool.removed", "Tool {target} is no longer offered")
TOOL_REVIEWED = kind("tool.reviewed", "{actor} set {target}: {change}")
RUN_SUBMITTED = kind(
    "run.submitted",
    "{actor} submitted run {run}",
    "principal",
    "task",
    "attempt",
    "mode",
    "code_sha256",
)
RUN_REFUSED = kind(
    "run.refused", "A run of {actor} was refused: {reasons}", "code", "details"
)
RUN_ENDED = kind(
    "run.ended", "Run {run} {status}", "error", "tool_calls", "cost", "currency"
)
RUN_CANCELLED = kind("run.cancelled", "{actor} asked to cancel run {run}")
RUN_HIDDEN = kind("run.hidden", "{actor} asked for {target}, a run of somebody else")
ANSWER_REFUSED = kind(
    "approval.answer_refused",
    "An answer of {actor} about {target} was refused: {reasons}",
)
CALL_INTENDED = kind(
    "call.intended",
    "{actor} calls {tool}",
    "arguments",
    "arguments_digest",
    "digests",
    "version",
    "effect",
    "policy_revision",
    "policy_version",
    "rules",
    "would",
)
CALL_ENDED = kind(
    "call.ended",
    "{tool} ended: {outcome}",
    "seconds",
    "bytes",
    "error",
    "rules",
    "would",
)
CALL_REFUSED = kind(
    "call.refused",
    "{actor} was refused {tool}: {reasons}",
    "arguments",
    "code",
    "effect",
    "details",
    "policy_version",
    "rules",
    "would",
    "digests",
)
CALL_LOOKED_UP = kind("call.looked_up", "{actor} asks {lookup} whether {tool} happened")
SCOPE_REFUSED = kind("scope.refused", "{actor} lacks {needed} for {method}")
POLICY_REPLAYED = kind(
    "policy.replayed",
    "{actor} replayed {target} over {days} days of calls",
    "most_calls",
    "replay",
)
RUN_HELD = kind("run.held", "Run {run} waits: {status}")
RUN_RESUMED = kind("run.resumed", "Run {run} goes on: {reason}")
OUTCOME_RESOLVED = kind(
    "call.resolved", "{actor} says of {tool} in {run}: {verdict} ({reason})", "value"
)
RESULTS_FORGOTTEN = kind(
    "results.forgotten", "Results of {runs} old runs were dropped", "before"
)
USAGE_REFUSED = kind(
    "usage.refused",
    "{actor} reported usage for {target}, which is not of its team",
    "names",
)
MODEL_SERVER_ADDED = kind("model_server.added", "{actor} added model server {target}")
MODEL_SERVER_CHANGED = kind(
    "model_server.changed", "{actor} changed model server {target}", "secrets_replaced"
)
MODEL_SERVER_STATUS = kind(
    "model_server.status", "{actor} set model server {target} to {status}"
)
MODEL_SERVER_TESTED = kind(
    "model_server.tested", "{actor} tested model server {target}: {outcome}", "seconds"
)
MODEL_ASKED = kind(
    "model.asked",
    "{actor} asks {model} of {target}",
    "request",
    "stream",
    "task",
    "expected",
)
MODEL_ANSWERED = kind(
    "model.answered",
    "{model} of {target} for {actor}: {outcome}",
    "request",
    "status",
    "seconds",
    "input",
    "output",
    "known",
    "cost",
    "unrated",
)
MODEL_REFUSED = kind(
    "model.refused", "{actor} was refused {model}: {reasons}", "code", "details"
)
