"""Reads of the catalog and of the runs, shaped for pages and the API."""
