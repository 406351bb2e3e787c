"""The table of docs/dtypes.md says what the functions do."""

import re
from pathlib import Path

import numpy as np
import pytest
from cases import DTYPES, dtype_of

import cypool

PAGE = Path(__file__).parents[1] / "docs" / "dtypes.md"
if not PAGE.exists():
    pytest.skip("needs the documentation", allow_module_level=True)
LINES = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in LINES[2:]]
CASES = [(name.strip(), row) for row in ROWS for name in row[0].split(",")]
FUNCTIONS = {"max_pool": 1, "min_pool": 1, "sum_pool": 2, "avg_pool": 3}


@pytest.mark.parametrize(("dtype", "row"), CASES, ids=[name for name, _ in CASES])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_table(dtype, row, function):
    pool, said = getattr(cypool, function), row[FUNCTIONS[function]]
    x = np.ones(4, dtype_of(dtype)) if "64[" not in dtype else np.ones(4, int).astype(dtype)
    if said == "TypeError":
        with pytest.raises(TypeError, match=rf"^x has dtype {re.escape(str(x.dtype))}, .*: "):
            pool(x, 2)
        return
    y = pool(x, 2)
    assert y.dtype == (x.dtype if said == "same" else said)
    where = [True, False, False, False]
    if row[6].startswith("needed") and y.dtype != np.float64:
        with pytest.raises(ValueError, match="fill_value must be given"):
            pool(x, 2, where=where)
        assert pool(x, 2, where=where, fill_value=0).tolist() == [1, 0]
        return
    assert np.isnan(pool(x, 2, where=where)).tolist() == [False, True]
    if row[5] == "no effect":
        assert pool(x, 2, nan_policy="omit").tolist() == pool(x, 2, nan_policy="raise").tolist() == y.tolist()
        return
    x[1] = {"NaN": np.nan, "NaN in either part": 1j * np.nan, "NaT": np.array("NaT")}[row[5]]
    assert np.isnan(pool(x, 2)).tolist() == [True, False]
    assert not np.isnan(pool(x, 2, nan_policy="omit")).any()
    with pytest.raises(ValueError, match=r"x has a NaN at \(1,\)"):
        pool(x, 2, nan_policy="raise")


def test_table_holds_every_dtype():
    assert {name for name, _ in CASES} >= set(DTYPES)
