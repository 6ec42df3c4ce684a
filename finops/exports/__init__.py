"""Chargeback as files: FOCUS 1.4 and 1.2, CSV, XLSX, JSON, PDF."""
