"""Usage, prices and reports."""

from django.apps import AppConfig


class FinopsConfig(AppConfig):
    name = "finops"
    verbose_name = "Usage, prices and reports"
