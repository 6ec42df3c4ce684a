"""Model servers, and the calls that passed through Tollgate to them."""

from django.db import models

from core.secrets import seal, unseal
from finops.models.ledger import Snapshot


class ModelServer(models.Model):
    """A server that speaks OpenAI's protocol, such as vLLM, Ollama or a provider.

    ``url`` is what stands before ``/chat/completions``. ``offered`` maps each model's
    public name to the server's own. ``provider`` is the name in SKUs. ``secrets``
    holds the sealed headers that are sent with each request.
    """

    name = models.SlugField(max_length=40, unique=True)
    description = models.CharField(max_length=400, blank=True)
    url = models.URLField(max_length=500)
    provider = models.CharField(max_length=100)
    offered = models.JSONField(default=dict)
    secrets = models.BinaryField(null=True, blank=True)
    timeout_seconds = models.FloatField(default=120)
    enabled = models.BooleanField(default=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    test_seconds = models.FloatField(null=True, blank=True)
    test_error = models.TextField(blank=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name

    def secret_values(self) -> dict[str, str]:
        """The headers in clear text; for the connection only."""
        if not self.secrets:
            return {}
        opened: dict[str, str] = unseal(bytes(self.secrets), owner=self._owner)
        return opened

    def set_secret_values(self, values: dict[str, str]) -> None:
        """Seal the headers into this row (not saved yet)."""
        self.secrets = seal(values, owner=self._owner) if values else None

    @property
    def _owner(self) -> str:
        return f"model-server:{self.name}"


class ModelCall(Snapshot):
    """One request that passed through: its intent, then its outcome.

    ``outcome`` is empty while it is under way; ``holder`` of quotas and budgets is
    ``uid``. ``expected`` are the input tokens as they were estimated beforehand.
    """

    class Outcome(models.TextChoices):
        ANSWERED = "answered"
        FAILED = "failed"
        CUT_OFF = "cut_off", "Cut off"
        LEFT = "left", "Client left"
        LOST = "lost"

    uid = models.CharField(max_length=40, unique=True)
    server = models.CharField(max_length=40)
    provider = models.CharField(max_length=100)
    model = models.CharField(max_length=100)
    upstream_model = models.CharField(max_length=200)
    key = models.CharField(max_length=11, blank=True)
    run = models.CharField(max_length=40, blank=True)
    task = models.CharField(max_length=40, blank=True)
    trace_id = models.CharField(max_length=32, blank=True)
    stream = models.BooleanField()
    expected = models.PositiveBigIntegerField()
    asked_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    first_seconds = models.FloatField(null=True)
    seconds = models.FloatField(null=True)
    status = models.PositiveIntegerField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["server", "-id"], name="model_call_server"),
            models.Index(
                fields=["asked_at"],
                name="model_call_open",
                condition=models.Q(outcome=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.uid} {self.model}"
