"""What runs in a sandbox, one runtime for each language of scripts."""

from dataclasses import dataclass

from gateway.sandbox.api import Limits
from gateway.sandbox.image import HARNESS, LIBRARIES, NODE, PYTHON, ZONES

MEMORY_CEILING = 4 << 30  # hard RLIMIT_AS; the harness lowers it to the run's limit
THREAD_CEILING = 256
_NODE_HEADROOM_MB = 64  # Node itself: its memory outside the heap of scripts
_NODE_THREADS = 8  # Node's own, beside those of a script


@dataclass(frozen=True, slots=True)
class Runtime:
    """Command, environment and limits of the one process in a sandbox."""

    language: str
    arguments: tuple[str, ...]
    environment: tuple[str, ...]
    threads: int
    address_space: tuple[int, int] | None
    """Hard and soft limit; None where the runtime cannot live under one."""
    system_calls: frozenset[str]
    """All it may make, `clone` for threads aside."""


# No socket, execve, kill, ptrace, mount, namespaces or keys in either list: those are
# EPERM to the script even before gVisor's own kernel would refuse them. First what
# both need for pure computation, files in /tmp and two pipes.
_FOR_BOTH = (
    "access arch_prctl brk capget chdir chmod clock_getres clock_gettime "
    "clock_nanosleep close copy_file_range dup dup2 dup3 epoll_create1 epoll_ctl "
    "epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fadvise64 "
    "fchmod fchmodat fcntl fdatasync fstat fstatfs fsync ftruncate futex getcpu "
    "getcwd getdents64 getegid geteuid getgid getpid getppid getpriority getrandom "
    "getrusage gettid gettimeofday getuid ioctl lseek lstat madvise mkdir mkdirat "
    "mmap mprotect mremap munmap nanosleep newfstatat open openat pipe2 poll ppoll "
    "prctl pread64 preadv prlimit64 pwrite64 pwritev read readlink readlinkat readv "
    "rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction "
    "rt_sigprocmask rt_sigreturn sched_getaffinity sched_yield set_robust_list "
    "set_tid_address sigaltstack stat statfs statx symlink sysinfo tgkill truncate "
    "umask uname unlink unlinkat utimensat write writev"
)
_FOR_PYTHON = (
    "alarm close_range creat fallocate fchdir flock getdents getgroups getitimer "
    "getpgid getpgrp getresgid getresuid getrlimit getsid mincore msync pipe "
    "pselect6 rt_sigpending rt_sigsuspend rt_sigtimedwait sched_getparam "
    "sched_getscheduler select sendfile setitimer setrlimit time times wait4 waitid"
)

_BOTH = frozenset(_FOR_BOTH.split())

_PYTHON_START = (
    f"import sys; sys.path.insert(0, {HARNESS!r}); "
    "from harness.main import main; main()"
)
_ENVIRONMENT = (
    f"LD_LIBRARY_PATH={LIBRARIES}",
    "PATH=/usr/bin",
    "HOME=/tmp",
    "LANG=C.UTF-8",
    "TZ=UTC",
)

RUNTIMES = {
    "python": Runtime(
        language="python",
        arguments=(PYTHON, "-s", "-S", "-P", "-B", "-c", _PYTHON_START),
        environment=(
            *_ENVIRONMENT,
            "MALLOC_ARENA_MAX=1",  # an arena per thread would eat address space
            "PYTHONHASHSEED=0",
            f"PYTHONTZPATH=/{ZONES}",
            "PYTHONUTF8=1",
        ),
        threads=THREAD_CEILING,
        address_space=(MEMORY_CEILING, 512 << 20),
        system_calls=_BOTH.union(_FOR_PYTHON.split()),
    ),
    "typescript": Runtime(
        language="typescript",
        arguments=(
            NODE,
            "--no-warnings",
            "--no-addons",
            "--disable-sigusr1",  # no inspector thread
            "--v8-pool-size=0",  # none for the compiler and the collector either
            f"--max-old-space-size={Limits().memory_mb - _NODE_HEADROOM_MB}",
            f"{HARNESS}/node/main.js",
        ),
        environment=(*_ENVIRONMENT, "UV_THREADPOOL_SIZE=2"),
        threads=Limits().processes + _NODE_THREADS,
        address_space=None,
        system_calls=_BOTH,
    ),
}
