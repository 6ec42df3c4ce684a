"""Level `team`: one long-lived gVisor sandbox per team, a fresh Monty per run."""
