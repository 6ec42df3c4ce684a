"""Catalog, runs and the way to tools."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    verbose_name = "Catalog, runs and the way to tools"
