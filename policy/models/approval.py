"""A decision on one exact call: who is asked, and what each of them said."""

from django.db import models

from policy.models.identity import User
from policy.routing import Audience


class Approval(models.Model):
    """Asked for by a run's step; decided once, by somebody else, and used once.

    It is bound to run, step, tool version, argument digest, policy revision and to
    what asked for it (``asked_digest``): where one of them differs at the time of use,
    it does not hold. ``requesters`` are the actor ids that may not decide.
    ``arguments`` are redacted. All of its routes have to agree.
    """

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        EXPIRED = "expired"
        USED = "used"
        WITHDRAWN = "withdrawn"

    uid = models.CharField(max_length=40, unique=True)
    run = models.CharField(max_length=40)
    step = models.PositiveIntegerField()
    tool = models.CharField(max_length=200)
    tool_version = models.PositiveIntegerField()
    arguments = models.JSONField()
    arguments_digest = models.CharField(max_length=64)
    policy_revision = models.BigIntegerField()
    team = models.CharField(max_length=40)
    environment = models.CharField(max_length=40)
    requesters = models.JSONField(default=list)
    asked_because = models.CharField(max_length=400)
    asked_digest = models.CharField(max_length=64, blank=True)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.PENDING
    )
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=120, blank=True)
    decided_label = models.CharField(max_length=200, blank=True)
    reason = models.CharField(max_length=400, blank=True)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "step"], name="approval_once")
        ]
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="approval_open",
                condition=models.Q(state="pending"),
            ),
            models.Index(fields=["team", "-id"], name="approval_team"),
            models.Index(fields=["requested_at"], name="approval_requested"),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.state}"


class ApproverGroup(models.Model):
    """Named people, of any team, whom a route may ask; known by its short name."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    description = models.CharField(max_length=200, blank=True)
    people: "models.ManyToManyField[User, GroupPerson]" = models.ManyToManyField(
        User, through="GroupPerson", related_name="approver_groups"
    )
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.slug


class GroupPerson(models.Model):
    """Somebody in an approver group."""

    group = models.ForeignKey(
        ApproverGroup, on_delete=models.CASCADE, related_name="memberships"
    )
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="group_memberships"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "user"], name="group_person_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.group_id}"


class ApprovalRoute(models.Model):
    """One of the demands on an approval, as it was when the call asked.

    ``escalated_at`` is when the second audience was asked as well; ``satisfied_at``
    when enough people had agreed.
    """

    class Kind(models.TextChoices):
        ROLE = "role"
        GROUP = "group", "Approver group"

    approval = models.ForeignKey(
        Approval, on_delete=models.CASCADE, related_name="routes"
    )
    position = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=40)
    quorum = models.PositiveSmallIntegerField(default=1)
    rule = models.CharField(max_length=100, blank=True)
    rule_version = models.CharField(max_length=64, blank=True)
    because = models.CharField(max_length=400)
    escalate_at = models.DateTimeField(null=True)
    escalate_kind = models.CharField(max_length=10, choices=Kind.choices, blank=True)
    escalate_name = models.CharField(max_length=40, blank=True)
    escalated_at = models.DateTimeField(null=True)
    satisfied_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["approval", "position"], name="approval_route_once"
            )
        ]
        indexes = [
            models.Index(fields=["kind", "name"], name="route_audience"),
            models.Index(
                fields=["escalate_at"],
                name="route_to_escalate",
                condition=models.Q(
                    escalate_at__isnull=False, escalated_at=None, satisfied_at=None
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quorum} of {self.kind} {self.name}"

    @property
    def audiences(self) -> tuple[Audience, ...]:
        """Whose people may decide now."""
        first = Audience(self.kind, self.name)
        if self.escalated_at is None:
            return (first,)
        return first, Audience(self.escalate_kind, self.escalate_name)


class ApprovalVote(models.Model):
    """What one person said, once; ``routes`` are the positions that it counts for."""

    approval = models.ForeignKey(
        Approval, on_delete=models.CASCADE, related_name="votes"
    )
    voter = models.CharField(max_length=120)
    label = models.CharField(max_length=200)
    approve = models.BooleanField()
    reason = models.CharField(max_length=400)
    routes = models.JSONField(default=list)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["approval", "voter"], name="vote_once")
        ]
        indexes = [models.Index(fields=["voter", "-id"], name="vote_voter")]

    def __str__(self) -> str:
        return f"{self.voter} {'approves' if self.approve else 'rejects'}"
