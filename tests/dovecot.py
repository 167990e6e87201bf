"""A private Dovecot on loopback, with a configuration, a user and mails of its own, for the IMAP probe."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import grp
    import pwd

#: Debian's package that brings it.
PACKAGE = "dovecot-imapd"
#: Where it listens. Not 127.0.0.1: a client with the server's own address counts as secure and may always log in.
ADDRESS = "127.0.0.2"
DEADLINE = 10.0

_CONFIGURATION = """\
protocols = imap
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
listen = {address}
ssl = no
disable_plaintext_auth = {disable}
auth_mechanisms = plain login
auth_username_format = %u
auth_username_chars =
auth_failure_delay = 0 secs
{accounts}
first_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mails
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {users}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/home allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


def program() -> str | None:
    """Where Dovecot is, or nothing; only a POSIX system has it."""
    if sys.platform == "win32":
        return None
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def running(users: dict[str, str], mails: list[str], *, plain_text: bool) -> Iterator[int]:
    """Dovecot until the block ends; gives its port.

    Arguments:
        users: password by user name.
        mails: the one inbox's messages, the newest last.
        plain_text: whether it offers LOGIN without TLS.
    """
    # a folder of its own: a socket's path may have 100 characters at most, and Dovecot's accounts have to enter it
    with tempfile.TemporaryDirectory(prefix="dovecot-") as name:
        folder, port, account = Path(name), _free_port(), _account()
        folder.chmod(0o755)
        inbox = folder / "mails"
        for part in ("new", "cur", "tmp"):
            (inbox / part).mkdir(parents=True)
        for number, mail in enumerate(mails, 1):
            (inbox / "new" / f"{1700000000 + number}.M{number}P1.test").write_bytes(mail.replace("\n", "\r\n").encode())
        for path in (inbox, *inbox.rglob("*")):
            shutil.chown(path, account.pw_uid, account.pw_gid)
        passwords = folder / "users"
        passwords.write_text("".join(f"{_escaped(user)}:{{PLAIN}}{word}\n" for user, word in users.items()), "utf-8")
        configuration = folder / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                folder=folder,
                address=ADDRESS,
                disable="no" if plain_text else "yes",
                accounts=_accounts(),
                users=passwords,
                uid=account.pw_uid,
                gid=account.pw_gid,
                port=port,
            ),
            "utf-8",
        )
        dovecot = subprocess.Popen(
            [str(program()), "-F", "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _await(dovecot, port, folder / "log")
            yield port
        finally:
            dovecot.terminate()
            try:
                dovecot.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                dovecot.kill()
                dovecot.wait(DEADLINE)
                raise


def _escaped(name: str) -> str:
    """A user name as Dovecot looks it up: with a backslash before each backslash and quotation mark."""
    return re.sub(r"""([\\"'])""", r"\\\1", name)


def _account() -> pwd.struct_passwd:
    """Whose the mails are: this account's, or that of Dovecot's package, as mails are never root's."""
    return pwd.getpwuid(os.getuid()) if os.getuid() else pwd.getpwnam("dovecot")


def _accounts() -> str:
    """Whom Dovecot's processes run as: the accounts of its package, which only root can take, or this one."""
    if os.getuid() == 0:
        return ""
    account = _account()
    group = grp.getgrgid(account.pw_gid).gr_name
    return (
        f"default_login_user = {account.pw_name}\n"
        f"default_internal_user = {account.pw_name}\n"
        f"default_internal_group = {group}"
    )


def _await(dovecot: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection((ADDRESS, port), DEADLINE) as connection:
            if connection.recv(1):
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            dovecot.wait(0.05)
            break
    said = log.read_text("utf-8", "replace") if log.exists() else ""
    raise AssertionError(f"Dovecot did not start: {said}")


def _free_port() -> int:
    with socket.create_server((ADDRESS, 0)) as listener:
        return int(listener.getsockname()[1])
