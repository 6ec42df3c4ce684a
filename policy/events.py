"""Audit events of identity, grants and quotas."""

from audit.registry import kind

SIGNED_IN = kind("session.signed_in", "{actor} signed in")
SIGN_IN_FAILED = kind("session.sign_in_failed", "Sign-in as {username} failed")
SIGN_IN_THROTTLED = kind(
    "session.sign_in_throttled",
    "Sign-in as {username} was not tried: too many failures",
)
SIGNED_OUT = kind("session.signed_out", "{actor} signed out")
TEAM_CREATED = kind("team.created", "{actor} created team {target}")
TEAM_CHANGED = kind("team.changed", "{actor} changed team {target}")
MEMBER_ADDED = kind("member.added", "{actor} made {user} {role} of {target}")
MEMBER_REMOVED = kind("member.removed", "{actor} took {role} of {target} from {user}")
USER_CREATED = kind("user.created", "{actor} created user {target}")
USER_DEACTIVATED = kind(
    "user.deactivated",
    "{actor} deactivated {target}",
    "sessions_ended",
    "personal_keys_revoked",
)
USER_REACTIVATED = kind("user.reactivated", "{actor} reactivated {target}")
PASSWORD_RESET = kind(
    "user.password_reset",
    "{actor} gave {target} a new random password",
    "sessions_ended",
    "personal_keys_revoked",
)
PROJECT_CREATED = kind("project.created", "{actor} created project {target}")
ENVIRONMENT_CREATED = kind(
    "environment.created", "{actor} created environment {target}"
)
ACCOUNT_CREATED = kind(
    "service_account.created", "{actor} created service account {target}"
)
KEY_CREATED = kind("key.created", "{actor} created key {target}")
KEY_REVOKED = kind("key.revoked", "{actor} revoked key {target}: {reason}")
KEY_REFUSED = kind("key.refused", "A request with key {prefix} was refused: {reasons}")
PERSONAL_KEY_CREATED = kind(
    "personal_key.created", "{actor} created the personal key {target}"
)
PERSONAL_KEY_REVOKED = kind(
    "personal_key.revoked", "{actor} revoked the personal key {target}"
)
GRANT_GIVEN = kind(
    "grant.given",
    "{actor} granted {target} to {holder}: {reason}",
    "team",
    "role",
    "in_environment",
)
GRANT_TAKEN = kind(
    "grant.taken",
    "{actor} took {target} from {holder}: {reason}",
    "team",
    "role",
    "in_environment",
)
GRANT_REVIEWED = kind(
    "grant.reviewed", "{actor} reviewed {target} of {holder}: {reason}"
)
QUOTA_SET = kind(
    "quota.set", "{actor} set the quota {target}: {reason}", "value", "scope"
)
QUOTA_REMOVED = kind(
    "quota.removed", "{actor} removed the quota {target}: {reason}", "value", "scope"
)
APPROVAL_ASKED = kind(
    "approval.asked", "{actor} asks to call {tool}", "arguments", "because", "routes"
)
APPROVAL_VOTED = kind(
    "approval.voted",
    "{actor} {verdict} a call of {tool}; others have to agree too",
    "routes",
)
APPROVAL_ESCALATED = kind(
    "approval.escalated",
    "Nobody decided on a call of {tool} in time: {audience} is asked too",
    "asked_before",
)
APPROVAL_DECIDED = kind(
    "approval.decided", "{actor} {verdict} a call of {tool}", "routes"
)
APPROVAL_REFUSED = kind(
    "approval.refused", "{actor} could not decide on a call of {tool}: {reasons}"
)
APPROVAL_EXPIRED = kind("approval.expired", "The approval of {tool} expired")
APPROVAL_USED = kind("approval.used", "The approval of {tool} was used")
GROUP_CREATED = kind(
    "approver_group.created", "{actor} created approver group {target}"
)
GROUP_CHANGED = kind(
    "approver_group.changed", "{actor} changed approver group {target}"
)
GROUP_REMOVED = kind(
    "approver_group.removed", "{actor} removed approver group {target}"
)
CHANNEL_CREATED = kind(
    "notification_channel.created", "{actor} created notification channel {target}"
)
CHANNEL_CHANGED = kind(
    "notification_channel.changed", "{actor} changed notification channel {target}"
)
CHANNEL_ROTATED = kind(
    "notification_channel.rotated", "{actor} gave {target} a new signing secret"
)
CHANNEL_REMOVED = kind(
    "notification_channel.removed", "{actor} removed notification channel {target}"
)
CHANNEL_TESTED = kind(
    "notification_channel.tested", "{actor} sent a test through {target}"
)
NOTIFICATION_DEAD = kind(
    "notification.dead",
    "A message of {target} was given up: {error}",
    "message",
    "attempts",
)
NOTIFICATION_AGAIN = kind(
    "notification.again", "{actor} had a dead message of {target} sent again", "message"
)
SANDBOX_SET = kind(
    "sandbox_policy.set",
    "{actor} set isolation and limits of {target} to {value}",
    "reason",
)
SANDBOX_REMOVED = kind(
    "sandbox_policy.removed",
    "{actor} removed isolation and limits of {target}",
    "value",
    "reason",
)
DRAFT_CREATED = kind(
    "policy.draft_created", "{actor} began draft {target}", "base", "changes"
)
DRAFT_CHANGED = kind(
    "policy.draft_changed", "{actor} changed {rule} in draft {target}", "changes"
)
DRAFT_REBASED = kind(
    "policy.draft_rebased", "{actor} based draft {target} on version {version}", "take"
)
DRAFT_PROPOSED = kind(
    "policy.draft_proposed", "{actor} proposed {target}: {reason}", "base", "digest"
)
DRAFT_DISCARDED = kind("policy.draft_discarded", "{actor} discarded draft {target}")
RULES_PUBLISHED = kind(
    "policy.published",
    "{actor} published version {version} of the rules: {reason}",
    "draft",
    "author",
    "second_by",
    "changes",
    "changed_rules",
)
PUBLISH_REFUSED = kind(
    "policy.publish_refused", "{actor} could not publish {target}: {reasons}"
)
TWO_PERSONS_SET = kind(
    "policy.two_persons_set", "{actor} set publishing by a second person to {value}"
)
