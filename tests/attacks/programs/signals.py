"""Signals and other power over processes that are not the checker's own.

Where one could be sent, only a harmless one is: 0, which asks for permission, or SIGURG, which nobody heeds but the
victim and the runner.
"""

from tests.attacks.attack import Attack, tries
from tests.attacks.tools import CALLS

ATTACKS = (
    tries("signal-parent-asked", "os.kill(os.getppid(), 0) is None", ["os"]),
    tries("signal-parent", "os.kill(os.getppid(), 23) is None", ["os"]),
    tries("signal-runner", "os.kill(RUNNER, 23) is None", ["os"]),
    tries("signal-victim", "os.kill(VICTIM, 23) is None", ["os"]),
    tries("signal-everybody", "os.kill(-1, 0) is None", ["os"]),
    tries("signal-victims-group", "os.killpg(VICTIM, 23) is None", ["os"]),
    tries("signal-parents-group", "os.killpg(os.getpgid(os.getppid()), 0) is None", ["os"]),
    tries("signal-init", "os.kill(1, 0) is None", ["os"], bare="root"),
    tries("signal-call-kill", "call(62, VICTIM, 23) == 0", tools=CALLS),
    tries("signal-call-kill-everybody", "call(62, -1, 0) == 0", tools=CALLS),
    tries("signal-call-tkill", "call(200, VICTIM, 23) == 0", tools=CALLS),
    tries("signal-call-tgkill", "call(234, VICTIM, VICTIM, 23) == 0", tools=CALLS),
    tries("signal-call-pidfd", "call(424, call(434, VICTIM, 0), 23, 0, 0) == 0", tools=CALLS),
    tries("signal-pidfd-open", "os.pidfd_open(VICTIM) >= 0", ["os"]),
    tries("signal-libc-sigqueue", "libc.sigqueue(VICTIM, 23, ctypes.c_void_p(0)) == 0", tools=CALLS),
    # Its own limits, affinity and priority as they are; that one could ask for others is enough.
    tries("power-limits-of-victim", "call(302, VICTIM, 7, 0, bytes(16)) == 0", tools=CALLS),
    tries("power-limits-of-runner", "resource.prlimit(RUNNER, resource.RLIMIT_CPU)", ["resource"]),
    tries("power-priority-of-victim", "os.setpriority(os.PRIO_PROCESS, VICTIM, 0) is None", ["os"]),
    tries("power-affinity-of-victim", "os.sched_setaffinity(VICTIM, os.sched_getaffinity(VICTIM)) is None", ["os"]),
    tries("power-ptrace-seize", "call(101, 0x4206, VICTIM, 0, 0) == 0", tools=CALLS),
    tries("power-compare-with-victim", "reached(312, os.getpid(), VICTIM, 0, 0, 0)", tools=CALLS),
    tries("power-move-pages-of-victim", "call(279, VICTIM, 0, 0, 0, 0, 2) == 0", tools=CALLS),
    tries("power-process-madvise", "reached(440, call(434, VICTIM, 0), bytes(16), 0, 20, 0)", tools=CALLS),
    tries("power-own-parent-death-signal", "call(157, 1, 0, 0, 0, 0) == 0", tools=CALLS),
    tries("power-stop-counting", "os.nice(-1) is not None", ["os"], bare="root"),
    Attack(
        "signal-neighbours",
        """
        import os

        def check(initial, current):
            # Other workers were started just before this one.
            own = os.getpid()
            for other in range(own - 3000, own + 40):
                if other not in (own, 0) and other > 1:
                    try:
                        os.kill(other, 0)
                        return True
                    except OSError:
                        pass
            return False
        """,
    ),
    Attack(
        "signal-by-socket-owner",
        """
        import fcntl
        import os

        def check(initial, current):
            # The kernel sends SIGIO to whoever is called the owner of a descriptor.
            for file in range(64):
                try:
                    fcntl.fcntl(file, fcntl.F_SETOWN, VICTIM)
                    return fcntl.fcntl(file, fcntl.F_GETOWN) == VICTIM
                except OSError:
                    pass
            return False
        """,
    ),
    Attack(
        "signal-queued-with-data",
        """
        import struct

        def check(initial, current):
            info = struct.pack("<iiii", 23, 0, -1, 0) + bytes(112)
            return call(129, VICTIM, 23, info) == 0
        """,
        CALLS,
    ),
    Attack(
        "signal-by-namespace-and-back",
        """
        import os

        def check(initial, current):
            # A user namespace of one's own gives every capability in it, none over others.
            call(272, 0x10000000)
            os.kill(VICTIM, 23)
            return True
        """,
        CALLS,
    ),
    Attack(
        "signal-as-another-user",
        """
        import os

        def check(initial, current):
            # Somebody who was root once must not be able to be it again.
            os.setresuid(0, 0, 0)
            os.kill(VICTIM, 0)
            return True
        """,
        bare="root",
    ),
)
