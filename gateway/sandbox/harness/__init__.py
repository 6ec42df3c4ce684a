"""Runs inside the sandbox: standard library only, and trusted by nobody."""
