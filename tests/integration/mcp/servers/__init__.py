"""Tool servers that only these tests need."""
