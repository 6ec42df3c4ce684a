"""Budgets as values: windows, terms, forecasts and anomalies. No database here."""
