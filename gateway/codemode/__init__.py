"""Code Mode: what an agent sees of the catalog and how its scripts are checked."""
