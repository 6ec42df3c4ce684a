"""Which account PostgreSQL runs under: it refuses to run as root."""

import os
import pwd
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from config.embedded.processes import EnginesError

POSTGRES_USER = "tollgate-pg"


@dataclass(frozen=True, slots=True)
class Account:
    """The account PostgreSQL runs under, and the command prefix that takes it on."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    def can(self, *command: str) -> bool:
        """Whether the command succeeds under this account."""
        return (
            subprocess.run([*self.prefix, *command], capture_output=True).returncode
            == 0
        )


def give(folder: Path, account: Account) -> None:
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, file) for file in files)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def postgres_account(data_dir: Path, postgres_bin: Path) -> Account:
    """Choose the account PostgreSQL runs under; it refuses to run as root.

    Root hands over to a system user of its own. Where that user cannot be made or
    cannot pass the folders above (a clone under a 0700 home), a user namespace
    shows PostgreSQL the same files under another name.
    """
    death = ("setpriv", "--pdeathsig", "INT")
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), (*death, "--"))
    accounts = [Account(0, 0, ("unshare", "-U", "--map-user=65534", *death, "--"))]
    with suppress(KeyError):
        entry = _system_user()
        switch = (f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}")
        prefix = (*death, *switch, "--clear-groups", "--")
        accounts.insert(0, Account(entry.pw_uid, entry.pw_gid, prefix))
    for account in accounts:
        if account.can("test", "-x", str(data_dir)) and account.can(
            str(postgres_bin / "postgres"), "--version"
        ):
            return account
    closed = next(
        (
            folder
            for path in (data_dir, postgres_bin)
            for folder in (*reversed(path.parents), path)
            if not folder.stat().st_mode & 0o001
        ),
        data_dir,
    )
    raise EnginesError(
        f"PostgreSQL does not run as root, and its user {POSTGRES_USER} cannot pass "
        f"{closed}. Do one of: chmod o+x {closed}; clone to another place and set "
        "TOLLGATE_DATA_DIR to a folder such as /var/lib/tollgate; run as an ordinary "
        "user; set DATABASE_URL to a PostgreSQL of your own."
    )


def _system_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam(POSTGRES_USER)
    with suppress(OSError):
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--user-group", POSTGRES_USER],  # noqa: S607
            capture_output=True,
        )
    return pwd.getpwnam(POSTGRES_USER)
