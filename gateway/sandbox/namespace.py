"""The runner's side of the keeper: a PID namespace that dies with the runner."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path

from gateway.sandbox.errors import SandboxUnavailable

_LONGEST = 65_536
_KEEPER = Path(__file__).with_name("keeper.py")


class Namespace:
    """Runs commands as children of the keeper; every one ends when this closes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Future[int]] = {}
        self._up: Future[int] = Future()
        self._closed = False

    def start(self, lock_descriptor: int, timeout: float = 20.0) -> None:
        """Start the keeper, which keeps `lock_descriptor` open as long as it lives.

        Raises SandboxUnavailable.
        """
        self._control, theirs = socket.socketpair(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
        )
        command = [_tool("unshare"), *(["-U", "-r"] if os.geteuid() else []), "-p"]
        command += ["-m", "-f", "--kill-child", "--mount-proc", "--"]
        command += [sys.executable, "-I", "-S", str(_KEEPER), str(theirs.fileno())]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(), lock_descriptor),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            start_new_session=True,  # Ctrl-C in a terminal is for the runner alone
        )
        theirs.close()
        self._reader = threading.Thread(
            target=self._read, name="sandbox-keeper", daemon=True
        )
        self._reader.start()
        try:
            self._up.result(timeout)
        except (TimeoutError, OSError) as error:
            self._process.kill()
            _, text = self._process.communicate()
            self.close()
            raise SandboxUnavailable(
                "cannot make a PID namespace (unshare): "
                f"{text.decode(errors='replace').strip() or error}"
            ) from None

    def run(
        self,
        identifier: str,
        command: Sequence[str],
        descriptors: Sequence[int],
        pid_file: Path | None,
        timeout: float,
        *,
        nice: int = 0,
    ) -> int:
        """Run a command to its end; return a pidfd of the process in `pid_file`.

        Without a `pid_file` returns -1. Raises SandboxUnavailable when the command
        fails or passes `timeout` seconds; whatever it started is killed then.
        """
        done: Future[int] = Future()
        with self._lock:
            self._waiting[identifier] = done
        request = {
            "op": "run",
            "id": identifier,
            "argv": list(command),
            "pid_file": str(pid_file or ""),
            "nice": nice,
        }
        try:
            self._send(request, descriptors)
            return done.result(timeout)
        except (TimeoutError, OSError) as error:
            self.kill(identifier)
            text = str(error) or f"no answer within {timeout:g} s"
            raise SandboxUnavailable(text) from None
        finally:
            with self._lock:
                self._waiting.pop(identifier, None)
            # an answer that came just now, after the time limit
            if done.done() and done.exception() is None and sys.exc_info()[0]:
                _close(done.result())

    def kill(self, identifier: str) -> None:
        """Kill every process whose arguments name the sandbox."""
        with contextlib.suppress(OSError):
            self._send({"op": "kill", "id": identifier}, ())

    def close(self) -> None:
        """End the keeper and with it the whole namespace; waits for that."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._control.close()
        if self._process.stderr:
            self._process.stderr.close()

    @property
    def alive(self) -> bool:
        """Whether sandboxes can still be started."""
        return not self._closed and self._process.poll() is None

    def _send(self, request: Mapping[str, object], descriptors: Sequence[int]) -> None:
        with self._lock:
            socket.send_fds(
                self._control, [json.dumps(request).encode()], list(descriptors)
            )

    def _read(self) -> None:
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(
                    self._control, _LONGEST, 1, socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                data, descriptors = b"", []
            if not data:
                break
            self._deliver(json.loads(data), descriptors[0] if descriptors else -1)
        self._fail_all()

    def _deliver(self, report: dict[str, str], descriptor: int) -> None:
        if report["event"] == "up":
            self._up.set_result(0)
            return
        with self._lock:
            waiting = self._waiting.get(report["id"])
        if waiting is None:
            _close(descriptor)
        elif "error" in report:
            waiting.set_exception(OSError(report["error"]))
        else:
            waiting.set_result(descriptor)

    def _fail_all(self) -> None:
        error = OSError("the sandboxes' keeper process ended")
        with self._lock:
            waiting = list(self._waiting.values())
        for future in [self._up, *waiting]:
            if not future.done():
                future.set_exception(error)


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _tool(name: str) -> str:
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise SandboxUnavailable(f"{name} is missing: install the package util-linux")
    return path
