"""The OCI bundle of a sandbox and the command line that boots it."""

import json
from pathlib import Path

from gateway.sandbox.runtimes import Runtime

UID = 65532
_CLONE_THREAD = 0x00010000


def _seccomp(runtime: Runtime) -> dict[str, object]:
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"names": sorted(runtime.system_calls), "action": "SCMP_ACT_ALLOW"},
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


def _limits(runtime: Runtime) -> list[dict[str, object]]:
    address_space = runtime.address_space
    return [
        *([_limit("RLIMIT_AS", *address_space)] if address_space else []),
        _limit("RLIMIT_NOFILE", 64),
        # one file more than all of /tmp, so that it is /tmp that is full
        _limit("RLIMIT_FSIZE", (runtime.tmp_mb + 1) << 20),
        _limit("RLIMIT_NPROC", runtime.threads),
        _limit("RLIMIT_CORE", 0),
        # below 64 KiB every system call becomes 6 to 10 times slower
        _limit("RLIMIT_MEMLOCK", 65_536),
    ]


def _process(runtime: Runtime) -> dict[str, object]:
    return {
        "user": {"uid": UID, "gid": UID},
        "cwd": "/tmp",  # noqa: S108 - inside the sandbox
        "args": list(runtime.arguments),
        "env": list(runtime.environment),
        "capabilities": {},
        "noNewPrivileges": True,
        "rlimits": _limits(runtime),
    }


def bundle(image: Path, runtime: Runtime) -> dict[str, object]:
    """OCI configuration: read-only root, no capability, no network, small /tmp."""
    return {
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "process": _process(runtime),
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
                "options": [
                    f"size={runtime.tmp_mb}m",
                    "noexec",
                    "nosuid",
                    "nodev",
                    "mode=1777",
                ],
            },
        ],
        "linux": {
            "namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")
            ],
            "seccomp": _seccomp(runtime),
        },
    }


def write_bundle(folder: Path, image: Path, runtime: Runtime) -> None:
    """Write the bundle that all sandboxes of a runner and a language share."""
    (folder / "root").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(bundle(image, runtime)))


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
