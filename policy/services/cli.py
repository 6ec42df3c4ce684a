"""Who acts when a command is run at a terminal."""

import getpass

from audit.actor import Actor


def operator() -> Actor:
    """The operating system's user, as the audit trail keeps them."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor("system", f"cli:{name}", f"{name} at the command line")
