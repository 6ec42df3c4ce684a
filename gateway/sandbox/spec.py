"""The OCI bundle of a sandbox and the command line that boots it."""

import json
from pathlib import Path

from gateway.sandbox.image import HARNESS, LIBRARIES, PYTHON, ZONES

UID = 65532
MEMORY_CEILING = 4 << 30  # hard RLIMIT_AS; the harness lowers it to the run's limit
THREAD_CEILING = 256

# Everything CPython needs for pure computation and for its two pipes. No socket,
# execve, kill, ptrace, mount, namespaces or keys: those are EPERM to the script even
# before gVisor's own kernel would refuse them.
_SYSTEM_CALLS = (
    "access alarm arch_prctl brk capget chdir chmod clock_getres clock_gettime "
    "clock_nanosleep close close_range copy_file_range creat dup dup2 dup3 "
    "epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat "
    "faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fcntl fdatasync flock fstat "
    "fstatfs fsync ftruncate futex getcpu getcwd getdents getdents64 getegid geteuid "
    "getgid getgroups getitimer getpgid getpgrp getpid getppid getpriority getrandom "
    "getresgid getresuid getrlimit getrusage getsid gettid gettimeofday getuid ioctl "
    "lseek lstat madvise mincore mkdir mkdirat mmap mprotect mremap msync munmap "
    "nanosleep newfstatat open openat pipe pipe2 poll ppoll prctl pread64 preadv "
    "prlimit64 pselect6 pwrite64 pwritev read readlink readlinkat readv rename "
    "renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending "
    "rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity "
    "sched_getparam sched_getscheduler sched_yield select sendfile set_robust_list "
    "set_tid_address setitimer setrlimit sigaltstack stat statfs statx symlink "
    "sysinfo tgkill time times truncate umask uname unlink unlinkat utimensat wait4 "
    "waitid write writev"
)
_START = (
    f"import sys; sys.path.insert(0, {HARNESS!r}); "
    "from harness.main import main; main()"
)
_CLONE_THREAD = 0x00010000


def _seccomp() -> dict[str, object]:
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"names": _SYSTEM_CALLS.split(), "action": "SCMP_ACT_ALLOW"},
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [
                    {
                        "index": 0,
                        "value": _CLONE_THREAD,
                        "valueTwo": _CLONE_THREAD,
                        "op": "SCMP_CMP_MASKED_EQ",
                    }
                ],
            },
            # ENOSYS without a tracer, so that libc falls back to clone, whose flags
            # can be filtered
            {"names": ["clone3"], "action": "SCMP_ACT_TRACE"},
        ],
    }


def _limit(kind: str, hard: int, soft: int | None = None) -> dict[str, object]:
    return {"type": kind, "hard": hard, "soft": hard if soft is None else soft}


def _process() -> dict[str, object]:
    return {
        "user": {"uid": UID, "gid": UID},
        "cwd": "/tmp",  # noqa: S108 - inside the sandbox
        "args": [PYTHON, "-s", "-S", "-P", "-B", "-c", _START],
        "env": [
            f"LD_LIBRARY_PATH={LIBRARIES}",
            "MALLOC_ARENA_MAX=1",  # an arena per thread would eat address space
            "PATH=/usr/bin",
            "HOME=/tmp",
            "LANG=C.UTF-8",
            "PYTHONHASHSEED=0",
            f"PYTHONTZPATH=/{ZONES}",
            "PYTHONUTF8=1",
            "TZ=UTC",
        ],
        "capabilities": {},
        "noNewPrivileges": True,
        "rlimits": [
            _limit("RLIMIT_AS", MEMORY_CEILING, 512 << 20),
            _limit("RLIMIT_NOFILE", 64),
            _limit("RLIMIT_FSIZE", 16 << 20),
            _limit("RLIMIT_NPROC", THREAD_CEILING),
            _limit("RLIMIT_CORE", 0),
            # below 64 KiB every system call becomes 6 to 10 times slower
            _limit("RLIMIT_MEMLOCK", 65_536),
        ],
    }


def bundle(image: Path) -> dict[str, object]:
    """OCI configuration: read-only root, no capability, no network, small /tmp."""
    return {
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "process": _process(),
        "root": {"path": "root", "readonly": True},
        "annotations": {
            "dev.gvisor.spec.rootfs.source": str(image),
            "dev.gvisor.spec.rootfs.type": "erofs",
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {
                "destination": "/tmp",  # noqa: S108 - inside the sandbox
                "type": "tmpfs",
                "source": "tmpfs",
                "options": ["size=16m", "noexec", "nosuid", "nodev", "mode=1777"],
            },
        ],
        "linux": {
            "namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")
            ],
            "seccomp": _seccomp(),
        },
    }


def write_bundle(folder: Path, image: Path) -> None:
    """Write the bundle that all sandboxes of a runner share."""
    (folder / "root").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(bundle(image)))


def global_flags(root: Path, platform: str, *, rootless: bool) -> list[str]:
    """Flags of every runsc command of one sandbox; `root` holds its state files."""
    return [
        f"--root={root}",
        f"--platform={platform}",
        "--network=none",
        "--ignore-cgroups",
        "--directfs=false",
        "--overlay2=none",
        "--oci-seccomp",
        "--host-uds=none",
        "--host-fifo=none",
        "--file-access=exclusive",
        *(["--rootless"] if rootless else []),
    ]
