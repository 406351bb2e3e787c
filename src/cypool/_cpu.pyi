level: int
"""4, 3 or 0: the best x86-64 level that the CPU has and the operating system saves."""

openmp: int
"""The date of the OpenMP specification compiled in (yyyymm), or 0 without OpenMP."""

checked: bool
"""Whether this is the checked build."""

def max_threads() -> int: ...
