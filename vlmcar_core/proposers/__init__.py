"""Ways to get a proposal, one file each; files that begin with an underscore are parts of others.

A proposer is a module with (tests/test_proposers_contract.py runs over every one that it finds):

    TITLE: str                                            its name for people, and how it signs
    propose(initial, goal, progress) -> Proposal          two frames in, RGB uint8 (H, W, 3);
                                                          raises NothingToPropose where they do not tell
"""
