"""Programs that try what no checker may, a runner that lets them loose in the sandbox, and what it watches.

    python -m tests.attacks.run --gate on|off            as the current user
    python -m tests.attacks.unprivileged --gate on|off   as nobody, for root
    python -m tests.attacks.run --bare                   where nothing contains them: they must work there

    attack   what a program is            arena    canary files, listeners, a victim, secrets
    tools    what programs share          trial    one program in the sandbox, judged from inside and outside
    programs a file for each category     bare     one program where nothing contains it
    honest   checkers that must answer rightly under the same seal

An attack says True exactly if it worked, as far as that is seen from inside. The runner adds what it sees from outside:
nothing may have been read, written, reached, started, signalled or left behind, no secret may have come out, every
outcome is in range and in time, and the honest checker beside it answers rightly before and after.
"""
