"""How results are judged. Each comparer returns None or raises AssertionError; test_compare.py judges them."""

import numpy as np

from cypool import reference


def assert_same(got, want):
    """Same shape, same dtype, same bits; any NaN equals any other, 0.0 and -0.0 differ."""
    _assert_same_kind(got, want)
    _assert_all(_equal_bits(got, want), got, want)


def assert_same_numbers(got, want):
    """Same shape, dtype and numbers; the sign of zero is free."""
    _assert_same_kind(got, want)
    _assert_all(_equal(got, want), got, want)


def assert_within(got, want, bound):
    """Same shape and dtype; NaN where NaN, the same infinities, and elsewhere ``|got - want| <= bound``.

    Only for floats and complex numbers: everything else is exact.
    """
    _assert_same_kind(got, want)
    assert got.dtype.kind not in "biumM", f"{got.dtype} wants assert_same"
    finite = np.isfinite(want)
    with np.errstate(invalid="ignore"):
        near = np.abs(got.astype(_wide(got)) - want) <= bound
    _assert_all(np.where(finite, near, _equal(got, want)), got, want)


def sum_bound(x, result_dtype, window, **divisor):
    """``(log2(n) + 3) * eps * sum|x|`` for every window of `x`, over its divisor for an average."""
    n = reference.sum_pool(np.ones(x.shape, np.int64), **window)
    size = np.abs(x.astype(_wide(x)))
    total = reference.avg_pool(size, **window, **divisor) if divisor else reference.sum_pool(size, **window)
    return (np.log2(n) + 3) * _eps(result_dtype) * np.abs(total)


def _eps(dtype):
    if dtype.name == "bfloat16":
        return 2.0**-7
    return float(np.finfo(dtype).eps)


def _wide(x):
    return np.complex128 if x.dtype.kind == "c" else np.float64


def _equal(got, want):
    return (got == want) | (np.isnan(got) & np.isnan(want))


def _equal_bits(got, want):
    if got.dtype.kind == "c":
        return _equal_bits(got.real, want.real) & _equal_bits(got.imag, want.imag)
    if got.dtype.kind in "biumM":
        return _equal(got, want)
    return _equal(got, want) & (np.isnan(got) | (np.signbit(got) == np.signbit(want)))


def _assert_same_kind(got, want):
    assert isinstance(got, np.ndarray), f"not an array but {type(got)}"
    assert got.dtype == want.dtype, f"dtype {got.dtype}, should be {want.dtype}"
    assert got.shape == want.shape, f"shape {got.shape}, should be {want.shape}"


def _assert_all(good, got, want):
    if np.all(good):
        return
    first = tuple(map(int, np.argwhere(~good)[0]))
    wrong = np.count_nonzero(~good)
    raise AssertionError(f"{wrong} of {good.size} cells differ; at {first}: {got[first]!r}, should be {want[first]!r}")
