"""Tool servers, their tools and every version of each."""

from django.db import models

from core.secrets import seal, unseal
from policy.models import Environment


class Server(models.Model):
    """A source of tools. A draft could not be reached yet and offers nothing.

    ``secrets`` holds the sealed environment (stdio) or headers (HTTP); ``revision``
    is raised when the connection has to be made anew.
    """

    class Transport(models.TextChoices):
        HTTP = "http", "Streamable HTTP"
        STDIO = "stdio", "Command (stdio)"

    class Status(models.TextChoices):
        DRAFT = "draft"
        ACTIVE = "active"
        DISABLED = "disabled"

    class Health(models.TextChoices):
        UNKNOWN = "unknown"
        UP = "up"
        DOWN = "down"

    name = models.SlugField(max_length=40, unique=True)
    description = models.CharField(max_length=400, blank=True)
    transport = models.CharField(max_length=10, choices=Transport.choices)
    url = models.URLField(max_length=500, blank=True)
    command = models.JSONField(default=list, blank=True)
    secrets = models.BinaryField(null=True, blank=True)
    timeout_seconds = models.FloatField(default=30)
    status = models.CharField(
        max_length=10, choices=Status.choices, default=Status.DRAFT
    )
    revision = models.PositiveIntegerField(default=1)
    protocol = models.CharField(max_length=20, blank=True)
    upstream_name = models.CharField(max_length=200, blank=True)
    upstream_version = models.CharField(max_length=100, blank=True)
    last_error = models.TextField(blank=True)
    refused = models.JSONField(default=list, blank=True)
    synced_at = models.DateTimeField(null=True, blank=True)
    health = models.CharField(
        max_length=10, choices=Health.choices, default=Health.UNKNOWN
    )
    health_message = models.TextField(blank=True)
    health_seconds = models.FloatField(null=True, blank=True)
    health_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()

    class Meta:
        permissions = [("call_server", "May call every tool of the server")]

    def __str__(self) -> str:
        return self.name

    def secret_values(self) -> dict[str, str]:
        """The environment or headers in clear text; for the connection only."""
        if not self.secrets:
            return {}
        owner = f"server:{self.name}"
        opened: dict[str, str] = unseal(bytes(self.secrets), owner=owner)
        return opened

    def set_secret_values(self, values: dict[str, str]) -> None:
        """Seal the environment or headers into this row (not saved yet)."""
        self.secrets = seal(values, owner=f"server:{self.name}") if values else None


class Effect(models.TextChoices):
    """What a call may do; unknown means write."""

    READ = "read"
    IDEMPOTENT_WRITE = "idempotent_write", "Idempotent write"
    WRITE = "write"


class Idempotency(models.TextChoices):
    """How a tool takes the key that makes a repeated call harmless."""

    NONE = "none", "No key"
    META = "meta", "In the request's _meta"
    ARGUMENT = "argument", "As an argument"
    HEADER = "header", "As an HTTP header"


class Tool(models.Model):
    """A callable operation of a server.

    ``name`` is the alias scripts use; ``original`` the server's own name. The effect
    in force is ``effect``; until a person confirms it, it is ``write``.
    ``direct`` and ``scripted`` say in which ways it may be called: at least one.
    ``idempotency_name`` names the argument, header or ``_meta`` entry that takes the
    key; ``lookup`` is a read tool of the same server that is given the key and answers
    null where the call did not happen, else what it returned.
    """

    server = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="tools")
    name = models.CharField(max_length=120)
    original = models.CharField(max_length=200)
    tags = models.JSONField(default=list, blank=True)
    effect = models.CharField(
        max_length=20, choices=Effect.choices, default=Effect.WRITE
    )
    effect_proposed = models.CharField(max_length=20, choices=Effect.choices)
    effect_confirmed_by = models.CharField(max_length=150, blank=True)
    effect_confirmed_at = models.DateTimeField(null=True, blank=True)
    direct = models.BooleanField(default=False)
    scripted = models.BooleanField(default=True)
    needs_approval = models.BooleanField(default=False)
    idempotency = models.CharField(
        max_length=10, choices=Idempotency.choices, default=Idempotency.NONE
    )
    idempotency_name = models.CharField(max_length=100, blank=True)
    lookup = models.CharField(max_length=120, blank=True)
    environments: "models.ManyToManyField[Environment, models.Model]" = (
        models.ManyToManyField(Environment, related_name="+", blank=True)
    )
    current = models.ForeignKey(
        "gateway.ToolVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("call_tool", "May call the tool")]
        constraints = [
            models.UniqueConstraint(fields=["server", "name"], name="tool_name_once"),
            models.UniqueConstraint(
                fields=["server", "original"], name="tool_original_once"
            ),
            models.CheckConstraint(
                condition=models.Q(direct=True) | models.Q(scripted=True),
                name="tool_some_way",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def ways(self) -> str:
        """The ways in which it may be called, in words."""
        if not self.scripted:
            return "directly only"
        return "from scripts and directly" if self.direct else "from scripts only"

    @property
    def full_name(self) -> str:
        """The name scripts and grants use; needs the server."""
        return f"{self.server.name}.{self.name}"


class Tag(models.Model):
    """A tag that was granted once. Tools carry their tags as words, set by a person."""

    name = models.SlugField(max_length=100, primary_key=True)

    class Meta:
        permissions = [("call_tag", "May call every tool with the tag")]

    def __str__(self) -> str:
        return self.name


class ToolVersion(models.Model):
    """One immutable definition of a tool."""

    tool = models.ForeignKey(Tool, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    fingerprint = models.CharField(max_length=64)
    title = models.CharField(max_length=200, blank=True)
    description = models.TextField(blank=True)
    input_schema = models.JSONField()
    output_schema = models.JSONField(null=True)
    annotations = models.JSONField(default=dict)
    definition_tokens = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tool", "number"], name="version_once")
        ]

    def __str__(self) -> str:
        return f"{self.tool_id} v{self.number}"
