"""The verification laboratory: evidence that finds what is wrong with a checker, beyond experts and random walks.

Values in, values out; what it needs asked is asked through `sandbox`, what it needs kept is kept by `pipeline`.
"""
