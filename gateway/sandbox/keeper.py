"""Process 1 of the sandboxes' PID namespace: starts runsc, reaps, dies with its runner.

Runs as a script under the plain interpreter and imports nothing of the project. The
kernel ends everything in the namespace when this process ends, and it ends when the
control socket closes: no sandbox outlives its runner, however that died.
"""

import array
import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys

_LONGEST = 65_536
# For runsc and the sandbox it becomes, should its own limits ever fail. They inherit
# all but the seconds of CPU, which this process must not have itself.
_BACKSTOP = {
    resource.RLIMIT_FSIZE: 1 << 30,
    resource.RLIMIT_DATA: 512 << 20,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_CORE: 0,
}
_CPU_SECONDS = 3_600


class Keeper:
    """Serves `run` and `kill` requests that arrive on the control socket."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._launchers: dict[int, dict[str, str]] = {}

    def serve(self) -> None:
        """Until the runner closes its end."""
        for kind, most in _BACKSTOP.items():
            hard = resource.getrlimit(kind)[1]
            bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (bound, bound))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        woken, wake = os.pipe()
        for descriptor in (woken, wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(wake)
        self._send({"event": "up"})
        while True:
            ready, _, _ = select.select([self._control.fileno(), woken], [], [])
            if woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4_096)
                self._reap()
            if self._control.fileno() in ready and not self._take_request():
                return

    def _take_request(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(
            self._control, _LONGEST, 8, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return False
        request = json.loads(data)
        try:
            if request["op"] == "run":
                self._start(request, request["nice"], descriptors)
            else:
                self._kill(request["id"])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _start(
        self, request: dict[str, list[str]], nice: int, descriptors: list[int]
    ) -> None:
        arguments = request["argv"]
        actions = [
            (os.POSIX_SPAWN_DUP2, descriptor, number)
            for number, descriptor in enumerate(descriptors)
        ]
        try:
            pid = os.posix_spawn(
                arguments[0],
                arguments,
                {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                file_actions=actions,
                setpgroup=0,
                setsigmask=[],
                setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGPIPE],
            )
        except OSError as error:
            self._send({"event": "done", "id": request["id"], "error": str(error)})
            return
        # runsc is being loaded: what it starts later has the same limit and priority
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
            if nice:
                os.setpriority(os.PRIO_PROCESS, pid, nice)
        self._launchers[pid] = {
            "id": str(request["id"]),
            "pid_file": str(request["pid_file"]),
        }

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            launcher = self._launchers.pop(pid, None)
            if launcher is not None:
                self._report(launcher, os.waitstatus_to_exitcode(status))

    def _report(self, launcher: dict[str, str], code: int) -> None:
        report: dict[str, object] = {"event": "done", "id": launcher["id"]}
        descriptor = -1
        if code:
            report["error"] = f"runsc ended with code {code}"
        elif launcher["pid_file"]:
            try:
                with open(launcher["pid_file"]) as file:
                    pid = int(file.read())
                if pid <= 1:  # signals to -1, 0 and 1 reach far more than a sandbox
                    raise ValueError(f"runsc reported pid {pid}")
                descriptor = os.pidfd_open(pid)
            except (OSError, ValueError) as error:
                report["error"] = f"no sandbox process: {error}"
        self._send(report, descriptor)
        if descriptor >= 0:
            os.close(descriptor)

    def _send(self, report: dict[str, object], descriptor: int = -1) -> None:
        ancillary = []
        if descriptor >= 0:
            numbers = array.array("i", [descriptor])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)]
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._control.sendmsg([json.dumps(report).encode()], ancillary)

    def _kill(self, identifier: str) -> None:
        """Kill whatever in this namespace names the sandbox in its arguments."""
        for name in os.listdir("/proc"):
            if not name.isdigit() or int(name) <= 1:
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    arguments = file.read().split(b"\0")
                if identifier.encode() in arguments:
                    os.kill(int(name), signal.SIGKILL)


if __name__ == "__main__":
    Keeper(socket.socket(fileno=int(sys.argv[1]))).serve()
