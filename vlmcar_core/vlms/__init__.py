"""Ways to have the four questions answered, one file each; files that begin with an underscore are parts of others.

A file has (tests/test_vlms_contract.py runs over every one that it finds):

    TITLE: str                                  its name for people
    BY_HAND: bool                               a person carries questions and answers; then there is no `connect`
    connect(session, server, key, prices)       -> Vlm; raises BadInput where something is missing
"""
