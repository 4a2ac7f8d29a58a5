"""Ways to get a proposal, one file each: `propose(initial, goal, progress) -> Proposal`."""
