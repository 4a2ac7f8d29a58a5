"""The seal: what a worker does to itself, in this order, before it runs a line of a checker's source.

    (first)       every descriptor is closed but the channel's
    namespaces    no network devices, no System V objects, no host name of ours (best effort)
    user          root becomes nobody
    parent        it dies with the zygote
    landlock      no file, no TCP port, no abstract socket, no signal out (best effort, by the kernel's version)
    limits        memory as now and so much more; no core dump, no file that grows, no process, no descriptor
    seccomp       system calls are denied but for those below

Without seccomp a worker does not run: the other layers together leave holes. What is denied fails with EPERM, which
reaches the checker as a PermissionError with its line; what only an attack calls ends the worker.
"""

import contextlib
import ctypes
import importlib
import os
import platform
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CHANNEL = 3
"""The descriptor on which a worker speaks; the only one that it has."""

NOBODY = 65534

ALLOWED = (
    *("brk", "munmap", "mremap", "madvise", "futex", "restart_syscall", "rt_sigreturn", "rt_sigprocmask"),
    *("exit", "exit_group", "sched_yield", "getrandom", "getpid", "gettid", "sched_getaffinity"),
    *("clock_gettime", "clock_getres", "gettimeofday", "time"),
)
"""Beside these: read and write on the channel, anonymous memory that is never executable."""

PARSING = ("read", "readv", "pread64", "preadv", "lseek", "ftruncate", "fstat", "close")
"""Beside `ALLOWED`, for what parses files that were opened before; nothing else is open, and nothing can be opened."""

KILLED = (
    *("execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd"),
    *("bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "perf_event_open"),
    *("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_by_handle_at", "fsopen", "move_mount"),
    *("keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load"),
    *("personality", "modify_ldt", "iopl", "ioperm", "swapon", "reboot", "acct", "quotactl"),
)

NEEDED = ("parent", "limits", "seccomp")
"""Without these a worker does not run; the others are there where the kernel has them."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x04000000, 0x08000000, 0x10000000, 0x40000000
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1
PROT_EXEC, MAP_ANONYMOUS = 4, 0x20

_libc = ctypes.CDLL(None, use_errno=True)


class Unsealed(Exception):
    """A layer that must hold does not; the text says which, and what to do."""


def seal(parent: int, memory_bytes: int, trusted: bool) -> list[str]:
    """Seal this process for good; the names of the layers that hold.

    Args:
        parent: the zygote's process id.
        memory_bytes: address space beyond what is taken now.
        trusted: go on without seccomp, because the person said so.

    Raises:
        Unsealed: there is no seccomp and the code is not trusted, or the self-test failed.
    """
    memory_taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    steps: list[tuple[str, Callable[[], bool]]] = [
        ("namespaces", leave_namespaces),
        ("user", become_nobody),
        ("parent", lambda: die_with(parent)),  # after the change of user, which would take it back
        ("landlock", restrict_files),
        ("limits", lambda: limit(memory_taken + memory_bytes)),
        ("seccomp", filter_calls),
    ]
    held = {name: _try(name, step, trusted) for name, step in steps}
    return [name for name, holds in held.items() if holds]


def seal_parser(written: Iterable[int], memory_bytes: int, file_bytes: int) -> list[str]:
    """Seal a process that parses a stranger's files for good; the names of the layers that hold.

    Such a process has opened all that it is to read, and has loaded all that it needs. Descriptors that are open can be
    read and these be written; nothing else can be opened, connected to or started.

    Args:
        written: descriptors that may be written.
        memory_bytes: address space in all.
        file_bytes: how large what is written may grow.

    Raises:
        Unsealed: it has threads, which no seal would hold, or there is no seccomp.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("pyseccomp")  # while files can still be opened
    threads = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 1
    if threads > 1:
        raise Unsealed(f"there are {threads} threads, and a seal holds only the one that makes it")
    steps: list[tuple[str, Callable[[], bool]]] = [
        ("namespaces", leave_namespaces),
        ("user", become_nobody),
        ("landlock", restrict_files),
        ("limits", lambda: limit(memory_bytes, file_bytes)),
        ("seccomp", lambda: filter_parsing(written)),
    ]
    held = {name: _try(name, step, trusted=False) for name, step in steps}
    return [name for name, holds in held.items() if holds]


def _try(name: str, step: Callable[[], bool], trusted: bool) -> bool:
    try:
        return step()
    except (Unsealed, OSError, ImportError, RuntimeError, AttributeError, ValueError) as error:
        if name in NEEDED and not trusted:
            raise Unsealed(f"the layer {name!r} does not hold: {error}") from error
        return False


def keep_only(files: Iterable[int], highest: int = 65_536) -> None:
    """Close every descriptor but these."""
    kept = sorted(set(files))
    for low, high in zip([-1, *kept], [*kept, highest], strict=True):
        os.closerange(low + 1, high)


def die_with(parent: int) -> bool:
    """Be killed when the parent ends, or now, if it has."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(PR_SET_DUMPABLE, 0)
    if os.getppid() != parent:
        os._exit(1)
    return True


def leave_namespaces() -> bool:
    """Into empty ones. Root needs no user namespace; another user does, and gives up what it could do in there."""
    flags = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    root = os.geteuid() == 0
    _checked(_libc.unshare(flags if root else flags | CLONE_NEWUSER))
    if not root:
        header, nothing = struct.pack("=Ii", 0x20080522, 0), bytes(24)
        _checked(_libc.capset(header, nothing))
    return True


def become_nobody() -> bool:
    """From root; another user stays who it is."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    return os.geteuid() != 0


def restrict_files() -> bool:
    """Landlock: everything that this kernel's version can handle is handled, and nothing is allowed."""
    version = _libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION)
    if version < 1:
        return False
    rights = (0, 13, 14, 15, 15, 16)[min(version, 5)]
    net, scoped = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    handled = struct.pack("=QQQ", (1 << rights) - 1, net, scoped)[: 8 + 8 * (version >= 4) + 8 * (version >= 6)]
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    ruleset = _checked(_libc.syscall(LANDLOCK_CREATE_RULESET, handled, len(handled), 0))
    _checked(_libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)
    return True


def limit(memory_bytes: int, file_bytes: int = 0) -> bool:
    """The process's own limits, memory in all; no descriptor can be opened from here on."""
    for which, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        _, hard = resource.getrlimit(which)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))
    return True


def filter_calls() -> bool:
    """seccomp, deny by default, for a worker."""
    seccomp, wanted = _denied()
    for name in ("read", "write"):
        wanted.add_rule(seccomp.ALLOW, name, seccomp.Arg(0, seccomp.EQ, CHANNEL))
    return _load(wanted)


def filter_parsing(written: Iterable[int]) -> bool:
    """The same for what parses; see `seal_parser`."""
    seccomp, wanted = _denied()
    for name in PARSING:
        wanted.add_rule(seccomp.ALLOW, name)
    for descriptor in written:
        wanted.add_rule(seccomp.ALLOW, "write", seccomp.Arg(0, seccomp.EQ, descriptor))
    return _load(wanted)


def _denied() -> tuple[Any, Any]:
    """The library, and a filter that denies by default but for what all may. libseccomp kills what comes by another
    architecture's way (32 bit, x32)."""
    if sys.platform != "linux":
        raise Unsealed(f"seccomp is Linux's, and this is {platform.system()}")
    import pyseccomp as seccomp

    wanted = seccomp.SyscallFilter(seccomp.ERRNO(1))
    for name in KILLED:
        with contextlib.suppress(OSError, ValueError):  # not a call of this machine
            wanted.add_rule(seccomp.KILL_PROCESS, name)
    for name in ALLOWED:
        with contextlib.suppress(OSError, ValueError):
            wanted.add_rule(seccomp.ALLOW, name)
    no_exec = seccomp.Arg(2, seccomp.MASKED_EQ, PROT_EXEC, 0)
    wanted.add_rule(seccomp.ALLOW, "mprotect", no_exec)
    wanted.add_rule(seccomp.ALLOW, "mmap", no_exec, seccomp.Arg(3, seccomp.MASKED_EQ, MAP_ANONYMOUS, MAP_ANONYMOUS))
    return seccomp, wanted


def _load(wanted: Any) -> bool:
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    wanted.load()
    self_test()
    return True


def self_test() -> None:
    """Try what must fail.

    Raises:
        Unsealed: something did not.
    """
    for name, attempt in (
        ("a file", lambda: os.open("/", os.O_RDONLY)),
        ("a socket", lambda: socket.socket(socket.AF_UNIX)),
        ("a process", _forked),
        ("executable memory", _executable),
    ):
        if _succeeds(attempt):
            raise Unsealed(f"the seal does not hold: {name} could be had")


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _forked() -> None:
    if os.fork() == 0:
        os._exit(0)


def _executable() -> None:
    import mmap

    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _prctl(option: int, value: int) -> None:
    _checked(_libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def _checked(result: int) -> int:
    """Raises OSError where a call of the C library failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
