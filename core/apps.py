"""The ground every app stands on."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "core"
