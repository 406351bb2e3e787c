"""How far sums and averages may be from the exact ones, whatever the path, and what special numbers do."""

import math

import numpy as np
import pytest
from cases import FLOATS, dtype_of, seed
from compare import _eps, assert_same, assert_same_numbers

import cypool

# Lengths of windows around every constant of the plan, primes among them, and how the windows lie.
KERNELS = (2, 3, 5, 7, 8, 9, 16, 17, 31, 32, 33, 40, 63, 64, 65, 100, 127, 200, 256, 257, 500, 1009, 2053, 4096, 5003)
STRIDES = {"dense": lambda k: 1, "half": lambda k: max(1, k // 2), "blocks": lambda k: k}
PLACES = {
    "along rows": lambda x: (x, 0),
    "across rows": lambda x: (np.repeat(x[:, None], 3, 1), 0),
    "over channels": lambda x: (np.repeat(x[None, :, None], 40, 2), 1),
    "every other cell": lambda x: (np.repeat(x, 2)[::2], 0),
}


def data(name, n, dtype):
    """Numbers that punish long chains: rounding errors of one sign, of all sizes, or one that drowns the others."""
    rng = seed(name, n)
    if name == "alike":
        x = np.full(n, 0.1)
    elif name == "one large":
        x = np.ones(n)
        x[n // 3] = 1e8 if dtype != np.float16 else 6e4
    elif name == "alternating":
        x = np.where(np.arange(n) % 2, 1.0, -1.0) * (1 + rng.random(n))
    else:
        x = 10.0 ** rng.integers(-4, 4, n) * rng.choice([-1, 1], n)
    return x.astype(dtype)


def check(got, x, kernel, stride, mean):
    """Each result against the exact sum of its window."""
    x = x.astype(np.float64)
    eps = _eps(got.dtype)
    largest = float(np.finfo(got.dtype).max) if got.dtype.name != "bfloat16" else 3e38
    for i in {0, 1, len(got) // 2, len(got) - 1}:
        if i >= len(got):
            continue
        cells = x[i * stride : i * stride + kernel]
        exact = math.fsum(cells) / (kernel if mean else 1)
        bound = (math.log2(kernel) + 3) * eps * math.fsum(abs(cells)) / (kernel if mean else 1)
        if abs(exact) > largest:
            assert np.isinf(got[i])
        else:
            assert abs(float(got[i]) - exact) <= bound, (i, kernel, stride)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_bound_for_every_length(place, stride, dtype, level):
    dtype = dtype_of(dtype)
    for kernel in KERNELS:
        step = STRIDES[stride](kernel)
        for name in ("alike", "one large", "alternating", "all sizes"):
            x = data(name, kernel + 2 * step + 5, dtype)
            laid_out, axis = PLACES[place](x)
            for mean, pool in ((False, cypool.sum_pool), (True, cypool.avg_pool)):
                got = pool(laid_out, kernel, step, axis=axis)
                got = np.moveaxis(got, axis, 0).reshape(got.shape[axis], -1)
                assert_same(np.ascontiguousarray(got[:, -1]), np.ascontiguousarray(got[:, 0]))
                check(got[:, 0], x, kernel, step, mean)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kernel", [(64, 64), (9, 100), (5, 7, 8), (3, 5, 7, 9), (33, 4, 33), (7, 7, 7, 7)], ids=str)
def test_bound_for_many_axes(dtype, kernel, level):
    dtype = dtype_of(dtype)
    for name in ("alike", "one large", "alternating", "all sizes"):
        for extra in (0, 2):
            shape = tuple(k + extra for k in kernel)
            x = data(name, math.prod(shape), dtype).reshape(shape)
            cells = x[tuple(slice(k) for k in kernel)].ravel()
            for mean, pool in ((False, cypool.sum_pool), (True, cypool.avg_pool)):
                check(pool(x, kernel, 1).ravel()[:1], cells, cells.size, cells.size, mean)


@pytest.mark.parametrize("shape", [(100_003,), (1_000_003,), (1000, 1000), (1_000_000, 1), (100, 100, 100)], ids=str)
@pytest.mark.parametrize("dtype", FLOATS)
def test_bound_for_a_million_cells(shape, dtype, level):
    dtype = dtype_of(dtype)
    for name in ("alike", "one large"):
        x = data(name, math.prod(shape), dtype).reshape(shape)
        for mean, pool in ((False, cypool.sum_pool), (True, cypool.avg_pool)):
            check(pool(x, shape).ravel(), x.ravel(), x.size, x.size, mean)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_added_up_in_float32(dtype, level):
    dtype = dtype_of(dtype)
    ones = np.ones(4096, dtype)
    assert_same(cypool.avg_pool(ones, 4096), np.ones(1, dtype))
    assert_same(cypool.sum_pool(ones, 4096), np.array([4096], dtype))
    assert_same(cypool.sum_pool(ones * 64, 4096, dtype=np.float32), np.array([2**18], np.float32))
    # 65504 is the largest float16: the sum passes it, the mean does not.
    large = np.full(4, 65504, dtype)
    assert_same(cypool.avg_pool(large, 4), large[:1])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_half_there_is(dtype, level):
    """In and out of float32 and back: every pattern of bits but NaN, whose kind is kept; rounding as NumPy's."""
    dtype = dtype_of(dtype)
    every = np.arange(2**16, dtype=np.uint16).view(dtype)
    wide = cypool.sum_pool(every, 1, dtype=np.float32)
    assert_same(wide, every.astype(np.float32))
    number = ~np.isnan(wide)
    assert_same(cypool.max_pool(every, 1)[number], every[number])
    assert_same(cypool.sum_pool(wide, 1, dtype=dtype)[number], every[number])
    assert np.isnan(cypool.max_pool(every, 1, dilation=3).astype(np.float32)[~number]).all()
    # Halfway between two neighbours, and to either side of it.
    finite = wide[np.isfinite(wide)]
    ties = np.sort(finite)[:-1] / 2 + np.sort(finite)[1:] / 2
    with np.errstate(over="ignore"):
        for x in (ties, np.nextafter(ties, np.float32(np.inf)), np.nextafter(ties, np.float32(-np.inf))):
            assert_same(cypool.sum_pool(x, 1, dtype=dtype), x.astype(dtype))
        past = np.array([65519.996, 65520, 65536, 1e30, 3.4e38, np.inf, 2**-25, 2**-24, 2**-133, 1e-45], np.float32)
        past = np.concatenate([past, -past])
        assert_same(cypool.sum_pool(past, 1, dtype=dtype), past.astype(dtype))


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_numbers_stay_in_their_windows(dtype, level):
    """No sum is the difference of two others."""
    dtype = dtype_of(dtype)
    for kernel in (2, 5, 13, 31, 100):
        x = np.ones((3, 400), dtype)
        x[1, 200], x[1, 50], x[2, 399] = np.inf, np.nan, 3e4
        got = cypool.sum_pool(x, (1, kernel), 1)
        for row, column, special in ((1, 200, np.inf), (1, 50, np.nan)):
            inside = np.zeros(400, bool)
            inside[column] = True
            touched = cypool.max_pool(inside, kernel, 1)
            assert np.isnan(special) == np.isnan(got[row, touched]).all()
            assert not np.isnan(got[row, touched]).any() or np.isnan(special) or kernel > 100
        assert np.all(got[0] == kernel)
        inside = np.zeros((1, 400), bool)
        inside[0, [200, 50]] = True
        clean = ~cypool.max_pool(inside, (1, kernel), 1)[0]
        assert np.all(got[1, clean] == kernel)
        assert np.all(got[2, : 400 - kernel] == kernel)


@pytest.mark.parametrize("dtype", FLOATS)
def test_zeros_and_infinities_as_in_numpy(dtype, level):
    dtype = dtype_of(dtype)
    zeros = np.array([-0.0, -0.0, -0.0, 0.0], dtype)
    for kernel, padding in ((2, 0), (3, 1)):
        got = cypool.sum_pool(zeros, kernel, kernel, padding)
        windows = [zeros[:2], zeros[2:]]
        want = np.array([math.copysign(0, -1 if np.signbit(w.astype(np.float64)).all() else 1) for w in windows])
        assert_same(got, want.astype(dtype))
    infinite = np.full(6, -np.inf).astype(dtype)
    for pool in (cypool.max_pool, cypool.min_pool, cypool.sum_pool, cypool.avg_pool):
        assert_same(pool(infinite, 3, 1, 1), infinite)
    tiny = np.full(4, float(np.finfo(np.float32).smallest_subnormal) if dtype != np.float16 else 2.0**-24).astype(dtype)
    for pool in (cypool.max_pool, cypool.min_pool, cypool.avg_pool):
        assert_same_numbers(pool(tiny, 4), tiny[:1])
    assert_same_numbers(cypool.sum_pool(tiny, 4), (tiny[:1].astype(np.float64) * 4).astype(dtype))


# ------------------------------------------------------------------------------------------------------ integers


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
@pytest.mark.parametrize("kernel", [2, 3, 7, 64, 1000])
def test_means_of_wide_integers_are_exact(dtype, kernel, level):
    """Even when their sums need more than 64 bits."""
    info = np.iinfo(dtype)
    x = seed(dtype, kernel).integers(info.min, info.max, (3, 3 * kernel), dtype, endpoint=True)
    x[0], x[1] = info.max, info.min
    x[2, kernel : 2 * kernel] |= np.array(info.max // 2 + 1, dtype)
    for divisor in (None, 5, 2**31 + 1, 2**40 + 1):
        by = divisor or kernel
        got = cypool.avg_pool(x, (1, kernel), dtype=dtype, divisor_override=divisor)
        for (i, j), value in np.ndenumerate(got):
            total = sum(x[i, j * kernel : (j + 1) * kernel].tolist())
            whole, rest = divmod(total, by)
            exact = whole + (2 * rest > by or (2 * rest == by and whole % 2))
            assert int(value) == (exact - info.min) % 2**64 + info.min


@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool", "uint16"])
@pytest.mark.parametrize("kernel", [*range(1, 19), 64, 128, 255, 256, 257, 258, 1024])
def test_means_of_narrow_integers_are_exact(dtype, kernel, level):
    """Rounded half to even; windows of up to 257 bytes add up in 16 bits."""
    rng = seed(dtype, kernel)
    info = np.iinfo(dtype) if dtype != "bool" else np.iinfo("uint8")
    x = rng.integers(0, 2, (60, kernel)) if dtype == "bool" else rng.integers(info.min, info.max + 1, (60, kernel))
    x[0], x[1] = x.max(), x.min()
    total = x.sum(1)
    whole, rest = total // kernel, total % kernel
    want = whole + ((2 * rest > kernel) | ((2 * rest == kernel) & (whole % 2 == 1)))
    for laid_out, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
        got = cypool.avg_pool(laid_out.astype(dtype), kernel, axis=axis, dtype=info.dtype)
        assert_same(got.ravel(), want.astype(info.dtype))


def test_every_sum_of_a_power_of_two(level):
    """Each total that four and 256 bytes can have."""
    for kernel in (4, 256):
        totals = np.arange(255 * kernel + 1)
        x = np.minimum(255, np.maximum(0, totals[:, None] - 255 * np.arange(kernel))).astype(np.uint8)
        got = cypool.avg_pool(x, (1, kernel), dtype=np.uint8)
        whole, rest = totals // kernel, totals % kernel
        want = whole + ((2 * rest > kernel) | ((2 * rest == kernel) & (whole % 2 == 1)))
        assert_same(got[:, 0], want.astype(np.uint8))
