"""The contained process in which every checker runs; nothing else in the program executes a checker.

    with CheckerProcess(checkers, Limits(seconds=1.0)) as process:
        outcomes = process.run("pick-up-the-key", initial, frames)

A checker's fault is an `Outcome`; only our own machinery's fault is raised, as `SandboxError`.
"""
