#!/usr/bin/env python
"""Django's command line for Tollgate."""

import os
import sys

from django.core.management import execute_from_command_line

# They work on the tables themselves: as the owner, where there is one of its own.
OWNERS = frozenset(("migrate", "audit_retention"))

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if OWNERS.intersection(sys.argv[1:2]):
        os.environ.setdefault("TOLLGATE_AS_OWNER", "1")
    execute_from_command_line(sys.argv)
