"""Identity, grants and quotas."""

from django.apps import AppConfig


class PolicyConfig(AppConfig):
    name = "policy"
    verbose_name = "Identity, grants and quotas"
