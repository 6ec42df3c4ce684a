"""How processes are logged, ended and told about."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.embedded.processes import LOG_BYTES, open_log, spawn, tail
from deploy.probes import answers, free_port, is_free
from deploy.supervisor import StartError, free_or_refuse, has_ended, how, reap

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
"""


def test_a_large_log_is_set_aside_at_the_next_start(tmp_path: Path) -> None:
    log = tmp_path / "log" / "web.log"
    log.parent.mkdir()
    log.write_bytes(b"old\n" + b"x" * LOG_BYTES)

    with open_log(tmp_path, "web") as fresh:
        fresh.write(b"new\n")

    assert log.read_bytes() == b"new\n"
    assert (tmp_path / "log" / "web.log.1").read_bytes().startswith(b"old\n")


def test_a_small_log_is_continued(tmp_path: Path) -> None:
    for line in (b"one\n", b"two\n"):
        with open_log(tmp_path, "web") as log:
            log.write(line)

    assert tail(tmp_path / "log" / "web.log", 1) == "two"
    assert tail(tmp_path / "log" / "web.log") == "one\ntwo"


def test_tail_of_no_log_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""


def test_reaping_a_leader_ends_its_whole_group(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT]
    process = spawn(command, open_log(tmp_path, "parent"), dict(os.environ))
    while not has_ended(process):
        time.sleep(0.01)
    orphan = int((tmp_path / "log" / "parent.log").read_text())
    assert Path(f"/proc/{orphan}").exists()

    assert reap(process) == 0

    deadline = time.monotonic() + 5
    while Path(f"/proc/{orphan}/exe").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{orphan}/exe").exists()


def test_exit_codes_in_words() -> None:
    assert how(3) == "exit code 3"
    assert how(-9) == "signal SIGKILL"


def test_a_taken_port_is_refused_with_what_to_do() -> None:
    taken = free_port(0)
    server = subprocess.Popen(
        [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(taken)],
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 10
        while not answers(taken) and time.monotonic() < deadline:
            time.sleep(0.05)

        assert not is_free(taken)
        assert free_port(taken) != taken
        with pytest.raises(StartError, match=f"Port {taken} .* TOLLGATE_PORT="):
            free_or_refuse(taken)
    finally:
        server.kill()
        server.wait()


def test_a_free_port_is_kept() -> None:
    port = free_port(0)

    assert free_port(port) == port
    free_or_refuse(port)
