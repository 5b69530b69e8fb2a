"""A PostgreSQL of our own: a private cluster on loopback, gone when the tests are."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

START_S = 30
STOP_S = 20
MEMORY_BYTES = 2**31
QUICK = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "60"}


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian's newest, or where the path leads."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL does not run as root: then it is somebody else's process."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = names.get("postgres") or names["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _memory() -> str | None:
    """A folder in memory, where making and removing databases costs little; None where there is none to speak of."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free >= MEMORY_BYTES else None


class Cluster:
    """One server with one superuser and no password; `with` it."""

    def __init__(self, folder: Path) -> None:
        self._binaries = folder
        self._as = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    def __enter__(self) -> Self:
        self._home = Path(tempfile.mkdtemp(prefix="turnout-pg-", dir=_memory()))
        if self._as:
            os.chown(self._home, self._as["user"], self._as["group"])
        try:
            self._run("initdb", "-D", str(self._home / "data"), "-U", "turnout", "-A", "trust", "-E", "UTF8",
                      "--locale=C", "--no-sync")  # fmt: skip
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._home)

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = [f"-c{name}={value}" for name, value in QUICK.items()]
        command = [str(self._binaries / "postgres"), "-D", str(self._home / "data"), "-h", "127.0.0.1", "-p",
                   str(self.port), "-k", str(self._home), *options]  # fmt: skip
        log = (self._home / "log").open("ab")
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._home, **self._as)
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            ready = [str(self._binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False, timeout=START_S).returncode == 0:
                return
            time.sleep(0.02)
        raise AssertionError((self._home / "log").read_text(encoding="utf-8", errors="replace"))

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server at once, whoever is connected; with SIGQUIT it does not tidy up."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(STOP_S)
            self._process = None

    def new_database(self) -> str:
        """The address of an empty database."""
        self._databases += 1
        name = f"test_{self._databases}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "turnout", name)
        return f"postgresql://turnout@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(command, capture_output=True, cwd=self._home, timeout=60, check=False, **self._as)
        assert done.returncode == 0, done.stderr.decode(errors="replace")
