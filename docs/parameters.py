"""The tables of parameters.md: what each function and each parameter does with each dtype, found out by calling it.

python docs/parameters.py            # print the tables
python docs/parameters.py --write    # and put them into parameters.md
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import page_tables

import cypool

PAGE = Path(__file__).with_name("parameters.md")
NO = "—"
HALF = ("bfloat16",) if find_spec("ml_dtypes") else ()
DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", *HALF, "float32", "float64", "complex64", "complex128", "datetime64[s]", "timedelta64[s]",
)  # fmt: skip
KINDS = {
    "bool": "bool",
    "signed integers": "int16",
    "unsigned integers": "uint16",
    "float16, bfloat16": "float16",
    "float32, float64": "float32",
    "complex": "complex64",
    "datetime64, timedelta64": "datetime64[s]",
}
"""What the columns of the second table stand for, and who stands for them."""


def cells(dtype):
    """Four cells of a dtype."""
    if dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    return np.array([0, 1, 1, 0]).astype(dtype)


def indices():
    return cypool.max_pool(np.zeros(4), 2, return_indices="window")[1]


# column -> what is called with four cells; the gradients get the first two
FUNCTIONS = {
    "`max_pool`, `min_pool`": lambda x: cypool.max_pool(x, 2),
    "`avg_pool`": lambda x: cypool.avg_pool(x, 2),
    "`sum_pool`": lambda x: cypool.sum_pool(x, 2),
    "`max_pool_take`": lambda x: cypool.max_pool_take(x, indices(), 2),
    "`max_unpool`, `max_unpool_grad`": lambda x: cypool.max_unpool(x[:2], indices(), 2),
    "`max_pool_grad`, `min_pool_grad`": lambda x: cypool.max_pool_grad(x[:2], indices(), (4,), 2),
    "`avg_pool_grad`, `sum_pool_grad`": lambda x: cypool.avg_pool_grad(x[:2], (4,), 2),
}

# the same for the wider family; a gradient has the column of its function, of floats only
FAMILY = {
    "`adaptive_max_pool`, `adaptive_min_pool`, `global_max_pool`, `global_min_pool`": (
        lambda x: cypool.adaptive_max_pool(x, 2, axis=0)
    ),
    "`adaptive_avg_pool`, `global_avg_pool`": lambda x: cypool.adaptive_avg_pool(x, 2, axis=0),
    "`spatial_pyramid_pool`, max": lambda x: cypool.spatial_pyramid_pool(x, (1, 2), op="max", axis=0),
    "`spatial_pyramid_pool`, avg": lambda x: cypool.spatial_pyramid_pool(x, (1, 2), op="avg", axis=0),
    "`fractional_max_pool`": lambda x: cypool.fractional_max_pool(x, 2, output_size=2, rng=0, axis=0),
    "`lp_pool`, `power_mean_pool`, `global_lp_pool`": lambda x: cypool.lp_pool(x, 2, 2),
    "`logsumexp_pool`": lambda x: cypool.logsumexp_pool(x, 2),
    "`weighted_avg_pool`": lambda x: cypool.weighted_avg_pool(x, np.ones(4), 2),
    "`soft_pool`": lambda x: cypool.soft_pool(x, 2),
    "`stochastic_pool`": lambda x: cypool.stochastic_pool(x, 2, rng=0)[0],
    "`stochastic_pool_expectation`": lambda x: cypool.stochastic_pool_expectation(x, 2),
}

# row -> the same for each function that has the parameter
PARAMETERS = {
    "`return_indices`": (lambda x: cypool.max_pool(x, 2, return_indices=True)[0],),
    "`count_include_pad`": (lambda x: cypool.avg_pool(x, 2, count_include_pad=False),),
    "`divisor_override`": (lambda x: cypool.avg_pool(x, 2, divisor_override=3),),
    "`dtype`, an integer": (lambda x: cypool.avg_pool(x, 2, dtype=np.int8), lambda x: cypool.sum_pool(x, 2, dtype=np.int8)),
    "`dtype`, a float": (
        lambda x: cypool.avg_pool(x, 2, dtype=np.float32),
        lambda x: cypool.sum_pool(x, 2, dtype=np.float32),
    ),
    "`dtype`, complex": (
        lambda x: cypool.avg_pool(x, 2, dtype=np.complex64),
        lambda x: cypool.sum_pool(x, 2, dtype=np.complex64),
    ),
    "`nan_policy`": (
        lambda x: cypool.max_pool(x, 2, nan_policy="omit"),
        lambda x: cypool.avg_pool(x, 2, nan_policy="omit"),
    ),
    "`where`, `min_count`, max and min": (
        lambda x: cypool.max_pool(x, 2, where=np.ones_like(x, bool), min_count=2),
        lambda x: cypool.max_pool(x, 2, where=np.ones_like(x, bool), min_count=2, fill_value=0),
    ),
    "`where`, `min_count`, averages": (lambda x: cypool.avg_pool(x, 2, where=np.ones_like(x, bool), min_count=2),),
    "`where`, `min_count`, gradients of averages": (
        lambda x: cypool.avg_pool_grad(x[:2], (4,), 2, where=np.ones(4, bool), min_count=2),
    ),
    "`where`, `nan_policy`, adaptive": (
        lambda x: cypool.adaptive_avg_pool(x, 2, axis=0, where=np.ones_like(x, bool), nan_policy="omit"),
    ),
}  # fmt: skip


def result(call, dtype):
    """The dtype that comes back, without the unit of a time."""
    try:
        return f"{call(cells(dtype)).dtype}".partition("[")[0]
    except TypeError:
        return NO


def allowed(calls, dtype):
    """Whether any of the calls goes through; a ValueError asks for a fill_value, which the next one gives."""
    for call in calls:
        try:
            if result(call, dtype) != NO:
                return "yes"
        except ValueError:
            return "with `fill_value`"
    return NO


def functions():
    rows = [[f"`{dtype.partition('[')[0]}`", *(result(call, dtype) for call in FUNCTIONS.values())] for dtype in DTYPES]
    return [["dtype", *FUNCTIONS], *rows]


def family():
    rows = [[name, *(result(call, dtype) for dtype in KINDS.values())] for name, call in FAMILY.items()]
    return [["", *(f"{kind}: `{dtype.partition('[')[0]}`" for kind, dtype in KINDS.items())], *rows]


def parameters():
    rows = [[name, *(allowed(calls, dtype) for dtype in KINDS.values())] for name, calls in PARAMETERS.items()]
    return [["", *KINDS], *rows]


TABLES = {"functions": functions, "family": family, "parameters": parameters}


def parts():
    return {name: page_tables.markdown(rows()) for name, rows in TABLES.items()}


if __name__ == "__main__":
    page_tables.main(PAGE, parts, set() if HALF else {"ml_dtypes"})
