"""Who acts: people, teams, service accounts and their keys."""

from datetime import datetime

from django.contrib.auth.models import AbstractUser, Group
from django.db import models
from django.db.models import Q


class Team(models.Model):
    """Who pays. Its permission group holds the team's grants."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    cost_centre = models.CharField(max_length=40)
    group = models.OneToOneField(Group, on_delete=models.PROTECT, related_name="team")
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person who signs in."""

    teams: "models.ManyToManyField[Team, Membership]" = models.ManyToManyField(
        Team, through="Membership", related_name="people"
    )


class Membership(models.Model):
    """A person's role in a team.

    Members and approvers see their team's work. Auditors read every team's trail,
    finance reads every team's costs, and administrators may do everything.
    """

    class Role(models.TextChoices):
        MEMBER = "member"
        APPROVER = "approver"
        AUDITOR = "auditor"
        FINANCE = "finance"
        ADMIN = "admin", "Administrator"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "team", "role"], name="member_once")
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.team_id}"


class Environment(models.Model):
    """Where a principal acts, such as dev, staging or prod."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    position = models.PositiveSmallIntegerField(default=0)

    def __str__(self) -> str:
        return self.slug


class Project(models.Model):
    """What the work is for, within a team."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="projects")
    slug = models.SlugField(max_length=40)
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "slug"], name="project_slug_once")
        ]

    def __str__(self) -> str:
        return self.slug


class ServiceAccount(models.Model):
    """A team's agent or job; it acts through API keys."""

    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, related_name="service_accounts"
    )
    name = models.SlugField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="account_name_once")
        ]

    def __str__(self) -> str:
        return self.name


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self, *, at: datetime) -> "ApiKeyQuerySet":
        """Keys that are neither revoked nor expired."""
        return self.filter(revoked_at=None).filter(
            Q(expires_at=None) | Q(expires_at__gt=at)
        )


class ApiKey(models.Model):
    """A bearer key. Its secret is shown once and stored as a keyed hash."""

    service_account = models.ForeignKey(
        ServiceAccount, on_delete=models.PROTECT, related_name="keys"
    )
    prefix = models.CharField(max_length=11, unique=True)
    secret_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=100)
    scopes = models.JSONField(default=list)
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT)
    project = models.ForeignKey(Project, on_delete=models.PROTECT)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=200)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def state(self, *, at: datetime) -> str:
        """``active``, ``revoked`` or ``expired`` at that time."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= at:
            return "expired"
        return "active"


class PersonalKey(models.Model):
    """A person's own bearer key for /mcp: it decides on approvals, and runs nothing."""

    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="personal_keys"
    )
    prefix = models.CharField(max_length=12, unique=True)
    secret_hash = models.CharField(max_length=64)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def state(self, *, at: datetime) -> str:
        """``active``, ``revoked`` or ``expired`` at that time."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= at else "active"
