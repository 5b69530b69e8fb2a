"""The small parent of one process: it ends the process and all that came of it when the router is gone.

Run by its path, as the leader of a process group: `keeper.py GRACE_S COMMAND...`. It says the pid of the command on
stdout, then waits. Its stdin is a pipe from the router, which ends with the router however that ends: then the group
gets SIGTERM, and SIGKILL after GRACE_S. It ends as the command ended.
"""

import ctypes
import os
import resource
import selectors
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Linux kills this process when its parent is gone; elsewhere only the pipe tells."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ignore(*_: object) -> None:
    """Unlike SIG_IGN, a handler is not handed down to the command."""


def keep(child: "subprocess.Popen[bytes]", wakeups: int, grace_s: float) -> int:
    """Returns how the command ended."""
    kill_at: float | None = None
    with selectors.DefaultSelector() as selector:
        selector.register(0, selectors.EVENT_READ)
        selector.register(wakeups, selectors.EVENT_READ)
        while (code := child.poll()) is None:
            timeout = None if kill_at is None else max(0.0, kill_at - time.monotonic())
            for key, _ in selector.select(timeout):
                if key.fd == wakeups:
                    os.read(wakeups, 64)
                elif not os.read(0, 64):
                    selector.unregister(0)
                    kill_at = time.monotonic() + grace_s
                    os.killpg(0, signal.SIGTERM)
            if kill_at is not None and time.monotonic() >= kill_at:
                os.killpg(0, signal.SIGKILL)
    if kill_at is not None:
        os.killpg(0, signal.SIGKILL)  # what the command left behind, and this process
    return code


def main() -> None:
    """Ends by the same signal as the command, or with its status."""
    grace_s, command = float(sys.argv[1]), sys.argv[2:]
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, ignore)
    try:
        # One thread runs here, so preexec_fn is safe. The command's stdin stays open for as long as this process lives.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=2, preexec_fn=die_with_parent)  # noqa: S603, PLW1509
    except OSError as error:
        sys.exit(f"cannot be started: {error.strerror}")
    os.write(1, b"%d\n" % child.pid)
    code = keep(child, woken, grace_s)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    main()
