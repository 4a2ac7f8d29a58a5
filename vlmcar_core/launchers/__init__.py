"""Places to run, one file each. What a run is asked and what it writes is the same wherever it runs: its folder.

A launcher is a module with:

    TITLE: str                  its name for people
    ABOUT: str                  one sentence: where runs go, and what that place needs
    HERE: bool                  its runs are processes of this machine
    lacking() -> str            what of that is missing here and how to get it, in a sentence; empty where nothing is;
                                as quick as the next one
    check(address: str) -> None raises `BadInput` where it cannot be used here, or with this address; quick, and
                                imports nothing heavy: pages call it
    opened() -> context manager of `advance`
    advance(entries) -> None    moves its entries of the line (queue.py) on by one step: starts what may start, follows
                                what is at work, takes out what has ended; called twice a second by the one process that
                                serves the launcher, for as long as it has entries

That process may be killed at any moment, and the next one goes on from the line and the folders of the runs: what is
remembered between two calls must be there to be quick only.
"""
