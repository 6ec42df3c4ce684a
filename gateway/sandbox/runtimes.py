"""What runs in a sandbox, one runtime for each language of scripts."""

from dataclasses import dataclass, replace

from gateway.sandbox.api import Limits
from gateway.sandbox.image import HARNESS, LIBRARIES, NODE, PYTHON, ZONES

MEMORY_CEILING = 4 << 30  # hard RLIMIT_AS; the harness lowers it to the run's limit
THREAD_CEILING = 256
_NODE_HEADROOM_MB = 64  # Node itself: its memory outside the heap of scripts
_NODE_THREADS = 8  # Node's own, beside those of a script
_NODE_MEMORY_MB = (128, 256, 512, 1_024, 2_048)  # what a heap may be made for
_HEAP_FLAG = "--max-old-space-size="


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
    tmp_mb: int = Limits().tmp_mb


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
            # Twice as much garbage would pile up before it is collected.
            "--max-semi-space-size=8",
            f"{_HEAP_FLAG}{Limits().memory_mb - _NODE_HEADROOM_MB}",
            f"{HARNESS}/node/main.js",
        ),
        environment=(*_ENVIRONMENT, "UV_THREADPOOL_SIZE=2"),
        threads=Limits().processes + _NODE_THREADS,
        address_space=None,
        system_calls=_BOTH,
    ),
}


def runtime_for(language: str, limits: Limits) -> tuple[str, Runtime]:
    """The runtime that a job with these limits needs, and a name for its kind.

    The size of /tmp and, for Node, of the heap and the number of threads are settled
    when a sandbox starts, and none starts for one job alone: so there is a kind for
    each of them. Of heaps there are a few, and a job gets the next larger one; what
    it may use is bounded from outside in any case.
    """
    runtime = replace(RUNTIMES[language], tmp_mb=limits.tmp_mb)
    settled = [limits.tmp_mb]
    if runtime.address_space is None:
        memory = _heap_for(limits.memory_mb)
        settled += [memory, limits.processes]
        heap = f"{_HEAP_FLAG}{memory - _NODE_HEADROOM_MB}"
        arguments = tuple(
            heap if argument.startswith(_HEAP_FLAG) else argument
            for argument in runtime.arguments
        )
        threads = limits.processes + _NODE_THREADS
        runtime = replace(runtime, arguments=arguments, threads=threads)
    if runtime == RUNTIMES[language]:
        return language, RUNTIMES[language]
    return "/".join([language, *map(str, settled)]), runtime


def _heap_for(memory_mb: int) -> int:
    larger = (size for size in _NODE_MEMORY_MB if size >= memory_mb)
    return next(larger, _NODE_MEMORY_MB[-1])
