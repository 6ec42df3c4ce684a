"""Identity, rules, quotas and approvals as stored."""

from policy.models.approval import (
    Approval,
    ApprovalRoute,
    ApprovalVote,
    ApproverGroup,
    GroupPerson,
)
from policy.models.grants import GrantRecord
from policy.models.identity import (
    ApiKey,
    Environment,
    Membership,
    PersonalKey,
    Project,
    ServiceAccount,
    Team,
    User,
)
from policy.models.notification import Notification, NotificationChannel
from policy.models.quota import Quota, QuotaHold, QuotaRefusal, QuotaUse
from policy.models.rules import Organisation, PolicyDraft, PolicyVersion
from policy.models.sandbox import SandboxPolicy

__all__ = [
    "ApiKey",
    "Approval",
    "ApprovalRoute",
    "ApprovalVote",
    "ApproverGroup",
    "Environment",
    "GrantRecord",
    "GroupPerson",
    "Membership",
    "Notification",
    "NotificationChannel",
    "Organisation",
    "PersonalKey",
    "PolicyDraft",
    "PolicyVersion",
    "Project",
    "Quota",
    "QuotaHold",
    "QuotaRefusal",
    "QuotaUse",
    "SandboxPolicy",
    "ServiceAccount",
    "Team",
    "User",
]
