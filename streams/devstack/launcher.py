"""Becomes another program that dies with the process that asked for it.

Run as ``python -I -S launcher.py DEATH_SIGNAL PARENT_PID own|mapped|nobody PROGRAM ARGUMENT...``. It is a
program and no ``preexec_fn``, which is unsafe beside threads and which not every event loop supports.
"""

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000
NOBODY = 65534


def main() -> None:
    death_signal, parent, identity, *program = sys.argv[1:]
    libc = ctypes.CDLL(None, use_errno=True)
    if identity == "mapped":
        _appear_as_nobody(libc)
    elif identity == "nobody":
        _become_nobody()
    # After the change of user, which would clear it.
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        sys.exit(f"prctl failed: {os.strerror(ctypes.get_errno())}")
    # The parent may have died before the signal was asked for.
    if os.getppid() == int(parent):
        os.execv(program[0], program)  # noqa: S606 - the caller's own argument list


def _appear_as_nobody(libc: ctypes.CDLL) -> None:
    """A user namespace in which we are nobody: PostgreSQL refuses to run as root."""
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"unshare failed: {os.strerror(ctypes.get_errno())}")
    own = Path("/proc/self")
    (own / "setgroups").write_text("deny")
    (own / "gid_map").write_text(f"{NOBODY} {group} 1\n")
    (own / "uid_map").write_text(f"{NOBODY} {user} 1\n")


def _become_nobody() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


if __name__ == "__main__":
    main()
