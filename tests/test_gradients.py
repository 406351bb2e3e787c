"""The gradients and max_pool_take against the specification, at every level and on 1 to 4 threads."""

import itertools
from functools import cache, partial

import numpy as np
import pytest
from cases import CASES, FEW, LAYOUTS, LEVELS, ORDERED, THREADS, WH, Case, dtype_of, finite, ordered, seed
from compare import assert_same, assert_same_numbers, assert_within
from hypothesis import assume, example, given
from hypothesis import strategies as st
from test_gaps import masks
from test_pool import LARGE, channels_last, pools, running

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")
by_id = partial(pytest.mark.parametrize, ids=lambda c: c.id)
WIDE = ("float32", "float64")
FLOATS = ("float16", "bfloat16", *WIDE)
AVERAGES = ({}, {"count_include_pad": True}, {"count_include_pad": False}, {"divisor_override": 3})
INDEX_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def shares(case, dtype):
    """A gradient with respect to the pool's result."""
    return finite(reference.output_shape(case.shape, **case.window), dtype)


@cache
def some_indices(case, none=False):
    """Indices of random winners of both kinds, flat and window; with `none`, some of them name no cell."""
    x = seed(case.id, "winners").standard_normal(case.shape)
    _, flat = reference.max_pool(x, **case.window, return_indices=True)
    _, window = reference.max_pool(x, **case.window, return_indices="window")
    if none:
        absent = seed(case.id, "none").random(flat.shape) < 0.3
        flat = np.where(absent, -1, flat)
        window = np.where(absent, np.iinfo(window.dtype).max, window)
    return flat, window


def bound_of(want, size, roundings):
    """How far a sum may be off: so many roundings of its size in its lanes, and for a half type its own at the end."""
    half = want.dtype.itemsize == 2
    lanes = float(np.finfo("f8" if want.dtype in ("f8", "c16") else "f4").eps)
    ulp = 2.0 ** (-7 if want.dtype.name == "bfloat16" else -10) if half else 0
    return roundings * lanes * size + ulp * np.abs(want).astype("f8") + (2.0**-24 if half else 0)


@cache
def wanted_max(case, dtype, layout="C", none=False):
    grad = np.array(LAYOUTS[layout](shares(case, dtype)))
    flat, _ = some_indices(case, none)
    want = reference.max_pool_grad(grad, flat, case.shape, **case.window)
    size = reference.max_pool_grad(np.abs(grad).astype("f8"), flat, case.shape, **case.window)
    # Shares are added one after the other: n - 1 roundings, in float64 if they are many.
    n = reference.max_pool_grad(np.ones(grad.shape), flat, case.shape, **case.window)
    return want, bound_of(want, size, np.maximum(n, 1))


@cache
def wanted_sum(case, dtype, options, layout="C"):
    grad = np.array(LAYOUTS[layout](shares(case, dtype)))
    want = reference.avg_pool_grad(grad, case.shape, **case.window, **dict(options))
    size = reference.avg_pool_grad(np.abs(grad).astype("f8"), case.shape, **case.window, **dict(options))
    n = reference.sum_pool_grad(np.ones(grad.shape), case.shape, **case.window)
    return want, bound_of(want, size, np.log2(np.maximum(n, 1)) + 3)


def check_max(case, dtype, threads=THREADS, layout="C", none=False):
    want, bound = wanted_max(case, dtype, layout, none)
    grad = LAYOUTS[layout](shares(case, dtype))
    results = [
        cypool.max_pool_grad(grad, LAYOUTS[layout](z) if "broadcast" not in layout else z, case.shape, **case.window,
                             num_threads=n)
        for z, n in itertools.product(some_indices(case, none), threads)
    ]  # fmt: skip
    assert_within(results[0], want, bound)
    assert np.all(results[0][want == 0] == 0)
    for result in results[1:]:
        assert_same(result, results[0])


def check_sum(case, dtype, averages=AVERAGES, threads=THREADS, layout="C"):
    grad = LAYOUTS[layout](shares(case, dtype))
    for options in averages:
        want, bound = wanted_sum(case, dtype, tuple(options.items()), layout)
        results = [cypool.avg_pool_grad(grad, case.shape, **case.window, **options, num_threads=n) for n in threads]
        assert_within(results[0], want, bound)
        for result in results[1:]:
            assert_same(result, results[0])
    want, bound = wanted_sum(case, dtype, (("divisor_override", 1),), layout)
    for n in threads:
        assert_within(cypool.sum_pool_grad(grad, case.shape, **case.window, num_threads=n), want, bound)


# --------------------------------------------------------------- cases x dtypes x layouts x levels x threads


@by_id("case", CASES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_max_pool_grad(case, dtype, level):
    check_max(case, dtype, THREADS if dtype in WIDE else (1, 3))


@pytest.mark.parametrize("stride", range(1, 6))
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize(("shape", "axis"), [((2, 7, None), WH), ((7, None, 9), (0, 1))], ids=["rows", "lanes"])
def test_rows_about_as_long_as_vectors(shape, axis, dtype, stride, level):
    """Whole numbers, whose sums are exact, so that nothing may differ."""
    for kernel, windows in itertools.product((1, 2, 3, 5, 7), (1, 2, 3, 4, 5, 8, 9, 16, 17, 31)):
        width = (windows - 1) * stride + kernel + stride // 2
        case = Case(tuple(n or width for n in shape), (3, kernel), stride, (1, kernel // 2), axis=axis)
        flat, window = some_indices(case)
        grad = np.arange(1, flat.size + 1, dtype=dtype).reshape(flat.shape)
        want = reference.max_pool_grad(grad, flat, case.shape, **case.window)
        for z in (flat, window):
            assert_same(cypool.max_pool_grad(grad, z, case.shape, **case.window), want)
        want = reference.sum_pool_grad(grad, case.shape, **case.window)
        assert_same(cypool.sum_pool_grad(grad, case.shape, **case.window), want)


# Strides past those whose cells are made at once: rows that are alike, gaps between windows, a last window cut short.
APART = (
    Case((40, 23, 31), (5, 5), axis=(1, 2)),
    Case((2, 33, 40), (7, 3), (8, 6), (3, 1), axis=(1, 2)),
    Case((2, 41, 30), (8, 2), axis=(1, 2), ceil_mode=True),
    Case((100, 90), 9, 10, 4),
    Case((3, 29, 26, 5), (6, 5), axis=(1, 2)),
    Case((11, 13, 50), (4, 6, 3), (5, 6, 7), dilation=(1, 1, 2)),
    Case((9000,), 2, 5, 1),
)


@by_id("case", APART)
@pytest.mark.parametrize("dtype", FLOATS)
def test_strides_that_are_large(case, dtype, level):
    """Sums, and shares that are put where indices say, into an array that holds something else."""
    flat, window = some_indices(case, none=True)
    grad = (np.arange(flat.size) % 200 + 1).reshape(flat.shape).astype(dtype_of(dtype))
    sums = reference.sum_pool_grad(grad, case.shape, **case.window)
    chosen = reference.max_pool_grad(grad, flat, case.shape, **case.window)
    for layout in (
        np.ascontiguousarray,
        np.asfortranarray,
        LAYOUTS["rotated"],
        LAYOUTS["reversed"],
        LAYOUTS["stepped"],
    ):
        for n in (1, 3):
            out = layout(np.full(case.shape, 7, dtype_of(dtype)))
            cypool.sum_pool_grad(layout(grad), case.shape, **case.window, out=out, num_threads=n)
            assert_same(np.array(out), sums)
            for z in (flat, window):
                out[...] = 7
                cypool.max_pool_grad(layout(grad), layout(z), case.shape, **case.window, out=out, num_threads=n)
                assert_same(np.array(out), chosen)


@by_id("case", CASES)
def test_indices_that_are_none_hand_on_nothing(case, level):
    check_max(case, "float32", threads=(2,), none=True)


@by_id("case", CASES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_avg_and_sum_pool_grad(case, dtype, level):
    if dtype in WIDE:
        check_sum(case, dtype)
    else:
        check_sum(case, dtype, AVERAGES[:2], (1, 3))


@by_id("case", FEW)
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "stepped", "first axis broadcast", "misaligned"])
def test_complex_gradients(case, dtype, layout, level):
    """Real and imaginary parts, each by itself."""
    grad = LAYOUTS[layout](shares(case, dtype))
    for options in AVERAGES:
        got = cypool.avg_pool_grad(grad, case.shape, **case.window, **options, num_threads=2)
        for part in ("real", "imag"):
            alone = np.ascontiguousarray(getattr(grad, part))
            want = cypool.avg_pool_grad(alone, case.shape, **case.window, **options)
            np.testing.assert_allclose(getattr(got, part), want, rtol=1e-4, atol=1e-4)
        assert got.dtype == dtype


@by_id("case", CASES)
def test_max_pool_take(case, level):
    x = ordered(case.shape, "float32")
    for z in (*some_indices(case), *some_indices(case, none=True)):
        want = reference.max_pool_take(x, z, **case.window)
        for n in THREADS:
            assert_same(cypool.max_pool_take(x, z, **case.window, num_threads=n), want)


@by_id("case", FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_layouts(case, layout, dtype, level):
    check_max(case, dtype, threads=(1, 3), layout=layout)
    check_sum(case, dtype, AVERAGES[2:3], threads=(1, 3), layout=layout)
    x = LAYOUTS[layout](finite(case.shape, dtype))
    for z in some_indices(case):
        if "broadcast" not in layout:
            z = LAYOUTS[layout](z)
        want = reference.max_pool_take(np.array(x), z, **case.window)
        assert_same(cypool.max_pool_take(x, z, **case.window), want)


@pytest.mark.parametrize("dtype", ORDERED)
def test_take_of_every_dtype(dtype, level):
    for case in FEW:
        x = ordered(case.shape, dtype)
        for z in some_indices(case, none=True):
            assert_same(cypool.max_pool_take(x, z, **case.window), reference.max_pool_take(x, z, **case.window))


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_indices_of_every_dtype(dtype, level):
    """A signed dtype is flat and an unsigned one is not, however wide."""
    for case, none in itertools.product(FEW, (False, True)):
        flat, window = some_indices(case, none)
        z = flat if dtype.startswith("i") else window
        if z.max() > np.iinfo(dtype).max:
            continue
        absent = z == np.iinfo(window.dtype).max if z is window else z == -1
        z = z.astype(dtype)
        z[absent] = -1 if dtype.startswith("i") else np.iinfo(dtype).max
        grad = shares(case, "float32")
        want = cypool.max_pool_grad(grad, flat, case.shape, **case.window)
        assert_same(cypool.max_pool_grad(grad, z, case.shape, **case.window), want)


def test_min_pool_grad(level):
    for case in FEW:
        x = seed(case.id).standard_normal(case.shape)
        grad = shares(case, "float64")
        for kind in (True, "window"):
            _, z = cypool.min_pool(x, **case.window, return_indices=kind)
            want = reference.min_pool_grad(grad, z, case.shape, **case.window)
            np.testing.assert_allclose(
                cypool.min_pool_grad(grad, z, case.shape, **case.window), want, rtol=1e-14, atol=1e-13
            )


@by_id("case", (*FEW, *LARGE))
@pytest.mark.parametrize("dtype", FLOATS)
def test_levels_and_threads_agree_to_the_last_bit(case, dtype):
    grad = seed(case.id).standard_normal(cypool.output_shape(case.shape, **case.window)).astype(dtype_of(dtype))
    x = seed(case.id, "x").standard_normal(case.shape).astype(dtype_of(dtype))
    _, z = cypool.max_pool(x, **case.window, return_indices="window")
    calls = (
        lambda n: cypool.max_pool_grad(grad, z, case.shape, **case.window, num_threads=n),
        lambda n: cypool.avg_pool_grad(grad, case.shape, **case.window, count_include_pad=False, num_threads=n),
        lambda n: cypool.max_pool_take(x, z, **case.window, num_threads=n),
    )
    for call in calls:
        want = call(1)
        for level, n in itertools.product(LEVELS, THREADS):
            with running(level):
                assert_same(call(n), want)


# ------------------------------------------------------------------------------------------- absent cells

GAPS = ({}, {"min_count": 0}, {"min_count": 3})


@cache
def wanted_gaps(case, dtype, layout, which, options):
    grad = np.array(LAYOUTS[layout](shares(case, dtype)))
    where = (*masks(case), None)[which]
    want = reference.avg_pool_grad(grad, case.shape, **case.window, where=where, **dict(options))
    size = reference.avg_pool_grad(np.abs(grad).astype("f8"), case.shape, **case.window, where=where, **dict(options))
    n = reference.sum_pool_grad(np.ones(grad.shape), case.shape, **case.window)
    return where, want, bound_of(want, size, np.log2(np.maximum(n, 1)) + 3)


def check_gaps(case, dtype, which, options, layout="C"):
    where, want, bound = wanted_gaps(case, dtype, layout, which, tuple(options.items()))
    grad = LAYOUTS[layout](shares(case, dtype))
    one, three = (
        cypool.avg_pool_grad(grad, case.shape, **case.window, where=where, **options, num_threads=n) for n in (1, 3)
    )
    assert_within(one, want, bound)
    assert_same(three, one)
    if where is not None:
        assert np.all(one[~np.broadcast_to(where, case.shape)] == 0)


@by_id("case", CASES)
def test_shares_go_to_the_cells_that_are_there(case, level):
    for which, (options, gaps) in enumerate(zip((*AVERAGES[1:], {}), (*GAPS, GAPS[2]), strict=True)):
        check_gaps(case, "float64", which, {**options, **gaps})


@by_id("case", FEW)
@pytest.mark.parametrize("dtype", [*FLOATS, "complex64", "complex128"])
@pytest.mark.parametrize("layout", ["C", "F", "reversed", "stepped", "last axis broadcast"])
def test_gaps_in_every_layout_and_dtype(case, dtype, layout, level):
    grad = shares(case, dtype)
    for which, (where, options) in enumerate(zip(masks(case), (*AVERAGES[1:3], {"divisor_override": 1}), strict=True)):
        check_gaps(case, dtype, which, options, layout)
        got = cypool.sum_pool_grad(grad, case.shape, **case.window, where=where)
        assert_same(got, cypool.avg_pool_grad(grad, case.shape, **case.window, where=where, divisor_override=1))
    for options in AVERAGES:
        want = cypool.avg_pool_grad(grad, case.shape, **case.window, **options)
        for where in (np.True_, np.ones(case.shape, bool)):
            assert_same(cypool.avg_pool_grad(grad, case.shape, **case.window, **options, where=where), want)


@by_id("case", CASES)
def test_adjoint_identities_with_gaps(case):
    """Windows without enough cells give 0, for they hand on nothing."""
    x, grad = finite(case.shape, "float64"), shares(case, "float64")
    for where, options, least in itertools.product((*masks(case), None), AVERAGES, (0, 1, 4)):
        gaps = {"where": where, "min_count": least}
        y = cypool.avg_pool(x, **case.window, **options, **gaps, fill_value=0)
        g = cypool.avg_pool_grad(grad, case.shape, **case.window, **options, **gaps)
        np.testing.assert_allclose(np.vdot(y, grad), np.vdot(x, g), rtol=1e-12, atol=1e-10)


@by_id("case", FEW)
def test_gradients_of_pools_that_omit_nan(case, level):
    """Finite differences of the pools themselves; NaN gets nothing."""
    x = seed(case.id).standard_normal(case.shape)
    x[seed(case.id, "absent").random(case.shape) < 0.4] = np.nan
    grad = shares(case, "float64")
    _, z = cypool.max_pool(x, **case.window, nan_policy="omit", return_indices="window")
    analytic = {
        "max_pool": cypool.max_pool_grad(grad, z, case.shape, **case.window),
        "avg_pool": cypool.avg_pool_grad(grad, case.shape, **case.window, where=~np.isnan(x)),
        "sum_pool": cypool.sum_pool_grad(grad, case.shape, **case.window, where=~np.isnan(x)),
    }

    def pooled(name, x):
        return np.nan_to_num(getattr(cypool, name)(x, **case.window, nan_policy="omit"))

    for name, gradient in analytic.items():
        assert np.all(gradient[np.isnan(x)] == 0)
        for cell in itertools.islice(np.ndindex(case.shape), 0, None, 3):
            step = np.zeros(case.shape)
            step[cell] = 1e-6
            numeric = np.vdot(pooled(name, x + step) - pooled(name, x - step), grad) / 2e-6
            np.testing.assert_allclose(gradient[cell], numeric, rtol=1e-6, atol=1e-6)


def test_nan_and_infinity_do_not_reach_absent_cells(level):
    where = np.tile([True, False], 50)
    for special in (np.nan, np.inf):
        got = cypool.avg_pool_grad(np.full(100, special), (100,), 3, 1, 1, where=where)
        assert np.all(got[~where] == 0)
        assert not np.isfinite(got[where]).any()
        alone = np.arange(100) == 10
        assert_same(
            cypool.sum_pool_grad(np.full(100, special), (100,), 3, 1, 1, where=alone, min_count=2), np.zeros(100)
        )


def test_gaps_beside_out_and_what_is_refused():
    grad = np.arange(4.0)
    room = np.zeros(8)
    where = room.view(bool)[:8]
    where[::3] = True
    want = cypool.sum_pool_grad(grad, (8,), 2, where=where.copy())
    assert_same(cypool.sum_pool_grad(grad, (8,), 2, where=where, out=room), want)
    for call in (cypool.avg_pool_grad, cypool.sum_pool_grad):
        with pytest.raises(TypeError, match="where must be a boolean array, got dtype int64"):
            call(grad, (8,), 2, where=np.ones(8, np.int64))
        with pytest.raises(ValueError, match=r"where must broadcast to the shape of x, \(8,\), got shape \(7,\)"):
            call(grad, (8,), 2, where=np.ones(7, bool))
        with pytest.raises(ValueError, match="min_count must be at least 0, got -1"):
            call(grad, (8,), 2, min_count=-1)
        with pytest.raises(ValueError, match="grad must have the shape"):
            call(grad, (10,), 2, where=True, min_count=2)


# ----------------------------------------------------------------------------------- large arrays, by identities


@by_id("case", LARGE)
@pytest.mark.parametrize("layout", ["channels first", "channels last", "Fortran order"])
def test_large(case, layout, level):
    """Adjoint identities and sums in float64, and numpy.add.at, where the specification would take hours."""
    window, shape = case.window, case.shape
    if layout == "channels last":
        last, _ = channels_last(case)
        window, shape = last.window, last.shape
    place = np.asfortranarray if layout == "Fortran order" else np.ascontiguousarray
    rng = seed(case.id, layout)
    x = place(rng.standard_normal(shape))
    y, flat = cypool.max_pool(x, **window, return_indices=True)
    _, offsets = cypool.max_pool(x, **window, return_indices="window")
    grad = place(rng.standard_normal(y.shape))
    tangent = place(rng.standard_normal(shape))
    results = [cypool.max_pool_grad(grad, z, shape, **window, num_threads=n) for z in (flat, offsets) for n in (1, 3)]
    for result in results:
        assert_same(result, results[0])
        assert result.flags.c_contiguous or layout == "Fortran order"
    axes = window["axis"] or tuple(range(len(shape) - len(case.kernel_size), len(shape)))
    np.testing.assert_allclose(results[0], added_at(grad, flat, shape, axes), rtol=1e-12, atol=1e-11)
    taken = cypool.max_pool_take(tangent, flat, **window)
    assert_same(cypool.max_pool_take(tangent, offsets, **window, num_threads=3), taken)
    assert_same(cypool.max_pool_take(x, flat, **window), y)
    np.testing.assert_allclose(np.vdot(taken, grad), np.vdot(tangent, results[0]), rtol=1e-10, atol=1e-9)
    averages = [cypool.avg_pool_grad(grad, shape, **window, num_threads=n) for n in (1, 3)]
    assert_same(averages[0], averages[1])
    np.testing.assert_allclose(np.vdot(cypool.avg_pool(tangent, **window), grad), np.vdot(tangent, averages[0]),
                               rtol=1e-10, atol=1e-9)  # fmt: skip
    # Row by row, so that no error hides in a sum: the gradient of one hot shares.
    singles = cypool.sum_pool_grad(np.abs(grad), shape, **window)
    np.testing.assert_allclose(
        np.vdot(cypool.sum_pool(np.ones(shape), **window), np.abs(grad)), singles.sum(), rtol=1e-12
    )


def added_at(grad, flat, shape, axes):
    """numpy.add.at with flat indices."""
    kept = [a for a in range(len(shape)) if a not in axes]
    planes = int(np.prod([shape[a] for a in kept]))
    order = (*kept, *axes)
    result = np.zeros((planes, int(np.prod([shape[a] for a in axes]))), grad.dtype)
    at = flat.transpose(order).reshape(planes, -1)
    np.add.at(result, (np.arange(planes)[:, None], at), grad.transpose(order).reshape(planes, -1))
    return result.reshape([shape[a] for a in order]).transpose(np.argsort(order))


@pytest.mark.parametrize(("shape", "kernel", "stride"), [
    ((1 << 17,), 1 << 17, None), ((1 << 17,), 1 << 11, 1), ((1 << 17,), 5000, 5000), ((300, 400), (300, 400), None),
    ((50_000, 3), (1000, 1), (7, 1)), ((3, 50_000), (1, 1000), (1, 7)), ((1000, 1000), (40, 50), (40, 50)),
    ((100, 20, 500), (30, 1, 1), (1, 1, 1)), ((5, 1, 2000), (1, 1, 2), (1, 1, 1000)),
])  # fmt: skip
@pytest.mark.parametrize("dtype", WIDE)
def test_windows_of_many_cells(shape, kernel, stride, dtype, level):
    grad = seed(shape, kernel).random(cypool.output_shape(shape, kernel, stride)).astype(dtype)
    got = [cypool.sum_pool_grad(grad, shape, kernel, stride, num_threads=n) for n in (1, 2)]
    assert_same(got[0], got[1])
    # The sum of all shares at a cell, from sums of their differences; exact enough in long double.
    want = np.zeros(shape, np.longdouble)
    kernels = (kernel,) if isinstance(kernel, int) else kernel
    strides = kernels if stride is None else (stride,) if isinstance(stride, int) else stride
    wide = grad.astype(np.longdouble)
    for a, (k, s) in enumerate(zip(kernels, strides, strict=True)):
        room = list(wide.shape)
        room[a] = shape[a] + k + 1
        steps = np.zeros(room, np.longdouble)
        starts = np.arange(wide.shape[a]) * s
        swapped = steps.swapaxes(0, a)
        np.add.at(swapped, starts, wide.swapaxes(0, a))
        np.subtract.at(swapped, starts + k, wide.swapaxes(0, a))
        wide = np.cumsum(steps, axis=a)[tuple(slice(shape[b]) if b == a else slice(None) for b in range(len(shape)))]
    want = wide
    n = np.prod([min(-(-k // s), c) for k, s, c in zip(kernels, strides, grad.shape, strict=True)])
    bound = (np.log2(n) + 3) * float(np.finfo(dtype).eps) * np.abs(want).astype("f8")
    assert np.all(np.abs(got[0].astype(np.longdouble) - want) <= bound + 1e-15 * n)
    x = seed(shape, "x").random(shape).astype(dtype)
    y, flat = cypool.max_pool(x, kernel, stride, return_indices=True)
    _, window = cypool.max_pool(x, kernel, stride, return_indices="window")
    want = added_at(grad, flat, shape, tuple(range(len(shape))))
    for z, n in itertools.product((flat, window), (1, 2)):
        assert_same(cypool.max_pool_take(x, z, kernel, stride, num_threads=n), y)
        np.testing.assert_allclose(cypool.max_pool_grad(grad, z, shape, kernel, stride, num_threads=n), want, rtol=1e-4)


# ------------------------------------------------------------------------------------------------- mathematics


@by_id("case", CASES)
def test_adjoint_identities(case):
    """<pool(x), g> = <x, grad(g)> for pools that are linear; at the indices of a pool, max_pool_take is."""
    x, grad = finite(case.shape, "float64"), shares(case, "float64")

    def same(y, g):
        np.testing.assert_allclose(np.vdot(y, grad), np.vdot(x, g), rtol=1e-12, atol=1e-10)

    for options in AVERAGES:
        same(cypool.avg_pool(x, **case.window, **options),
             cypool.avg_pool_grad(grad, case.shape, **case.window, **options))  # fmt: skip
    same(cypool.sum_pool(x, **case.window), cypool.sum_pool_grad(grad, case.shape, **case.window))
    for z in some_indices(case, none=True):
        same(cypool.max_pool_take(x, z, **case.window), cypool.max_pool_grad(grad, z, case.shape, **case.window))


@by_id("case", FEW)
@pytest.mark.parametrize("name", ["max_pool", "min_pool", "avg_pool", "sum_pool"])
def test_finite_differences(case, name):
    pool, rng = getattr(cypool, name), seed(case.id, name)
    # Cells further apart than twice the step, so that no winner changes.
    x = rng.permutation(np.arange(float(np.prod(case.shape)))).reshape(case.shape)
    grad = rng.standard_normal(cypool.output_shape(case.shape, **case.window))
    if name in ("max_pool", "min_pool"):
        _, z = pool(x, **case.window, return_indices="window")
        analytic = getattr(cypool, name + "_grad")(grad, z, case.shape, **case.window)
    else:
        analytic = getattr(cypool, name + "_grad")(grad, case.shape, **case.window)
    numeric = np.empty_like(analytic)
    for cell in np.ndindex(case.shape):
        step = np.zeros(case.shape)
        step[cell] = 0.25
        numeric[cell] = np.vdot(pool(x + step, **case.window) - pool(x - step, **case.window), grad) / 0.5
    np.testing.assert_allclose(analytic, numeric, rtol=1e-9, atol=1e-9)


def test_second_order(level):
    """The gradient of max_pool_grad by grad is max_pool_take, and that of avg_pool_grad is avg_pool."""
    for case in FEW:
        _, z = some_indices(case)
        grad, second = shares(case, "float64"), finite(case.shape, "float64")
        pairs = (
            (partial(cypool.max_pool_grad, indices=z), cypool.max_pool_take(second, z, **case.window)),
            (cypool.avg_pool_grad, cypool.avg_pool(second, **case.window)),
            (cypool.sum_pool_grad, cypool.sum_pool(second, **case.window)),
        )
        for (backward, onward), w in itertools.product(pairs, itertools.islice(np.ndindex(grad.shape), 20)):
            hot = np.zeros(grad.shape)
            hot[w] = 1
            got = np.vdot(backward(hot, shape=case.shape, **case.window), second)
            np.testing.assert_allclose(got, onward[w], rtol=1e-12, atol=1e-12)
        # Windows that do not overlap: what is handed out and taken again is what it was.
        if case.stride is None:
            taken = cypool.max_pool_take(cypool.max_pool_grad(grad, z, case.shape, **case.window), z, **case.window)
            assert_same(taken, grad)


@by_id("case", CASES)
def test_sums_are_conserved(case):
    grad = shares(case, "float64")
    for z in some_indices(case):
        np.testing.assert_allclose(cypool.max_pool_grad(grad, z, case.shape, **case.window).sum(), grad.sum(),
                                   rtol=1e-11, atol=1e-10)  # fmt: skip
    whole = cypool.avg_pool_grad(grad, case.shape, **case.window, count_include_pad=False)
    np.testing.assert_allclose(whole.sum(), grad.sum(), rtol=1e-11, atol=1e-10)


def test_gaps_get_exactly_zero(level):
    for n in THREADS:
        for shape, kernel, stride in (
            ((10_000,), 2, 5),
            ((40, 41), (1, 2), (3, 4)),
            ((9, 9, 9), 1, 2),
            ((64, 3), (1, 1), (9, 1)),
        ):
            shares_ = np.full(cypool.output_shape(shape, kernel, stride), -1.0, np.float32)
            want = reference.sum_pool_grad(shares_, shape, kernel, stride)
            assert_same(cypool.sum_pool_grad(shares_, shape, kernel, stride, num_threads=n), want)
            z = np.zeros(shares_.shape, np.uint8)
            got = cypool.max_pool_grad(shares_, z, shape, kernel, stride, num_threads=n)
            assert_same_numbers(got, reference.max_pool_grad(shares_, z, shape, kernel, stride))
            assert not np.signbit(got[want == 0]).any()


def test_halves_are_added_up_in_float32(level):
    """A chain of float16 or bfloat16 additions would stop at 2048, or 256."""
    for dtype in ("float16", "bfloat16"):
        grad = np.ones((4096,), dtype_of(dtype))
        got = cypool.sum_pool_grad(grad, (8191,), 4096, 1)
        assert_same(got, np.convolve(np.ones(4096), np.ones(4096)).astype(grad.dtype))
        got = cypool.max_pool_grad(grad, np.arange(4096)[::-1].astype(np.uint16), (8191,), 4096, 1)
        assert got[4095] == 4096
        got = cypool.max_pool_grad(grad[:64], np.arange(64)[::-1].astype(np.uint8), (127,), 64, 1)
        assert got[63] == 64
        assert cypool.avg_pool_grad(grad[:3], (7,), 7, 1, 1)[3] == np.array([3 / 7]).astype(grad.dtype)[0]


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("dtype", WIDE)
def test_nan_and_infinity_stay_with_their_cells(special, dtype, level):
    for case in (Case((37, 41), 3, 2, 1), Case((37, 41), 3, 1, 1), Case((37, 41), 2), Case((37, 41), 9, 1, 4),
                 Case((60,), 40, 1, 10), Case((5, 9, 9, 40), (3, 3), 2, 1, axis=WH)):  # fmt: skip
        grad = shares(case, dtype)
        held = np.zeros(grad.shape)
        held.flat[grad.size // 2] = 1
        grad.flat[grad.size // 2] = special
        clean = np.where(held == 1, 0, grad).astype(dtype)
        touched = cypool.sum_pool_grad(held, case.shape, **case.window) > 0
        assert_same((cypool.sum_pool_grad(grad, case.shape, **case.window))[~touched],
                    cypool.sum_pool_grad(clean, case.shape, **case.window)[~touched])  # fmt: skip
        assert np.isfinite(cypool.avg_pool_grad(grad, case.shape, **case.window)[~touched]).all()
        for z in some_indices(case):
            touched = cypool.max_pool_grad(held, z, case.shape, **case.window) > 0
            assert touched.sum() == 1
            got = cypool.max_pool_grad(grad, z, case.shape, **case.window)
            assert_same(got[~touched], cypool.max_pool_grad(clean, z, case.shape, **case.window)[~touched])
            assert abs(got[touched]) > 1e29 or np.isnan(special) == np.isnan(got[touched])


# ------------------------------------------------------------------------------------------------ wrong indices


def wrong_values(dtype):
    """Values of an index dtype to try in each place: around nothing, the ends of windows and arrays, and of the dtype."""
    info = np.iinfo(dtype)
    ends = (info.min, info.max, 2**31, 2**32, 2**62, 2**63, -(2**31), -(2**32), 8, 30, 63, 71, 119)
    return sorted({v + d for v in ends for d in (-1, 0, 1) if info.min <= v + d <= info.max} | set(range(4)))


FUZZED = (
    Case((7, 9), 3, 2, 1),
    Case((7, 9), (2, 3), (2, 2), ((0, 1), (2, 0)), (2, 1), ceil_mode=True),
    Case((6, 5, 40), (2, 2), axis=(0, 1)),
    Case((13,), 3, 2, 3, 3),
    Case((12, 11), (9, 8), 1, 4),
    Case((5, 4, 6), 2, 1, axis=(2, 0)),
    Case((4,), 1, 3),
)


@by_id("case", FUZZED)
@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_wrong_indices(case, dtype, level):
    """Each value in some place gives what the specification gives, or is refused, and nothing is written then."""
    flat, window = some_indices(case)
    good = (flat if dtype.startswith("i") else window).astype(dtype)
    grad, x = shares(case, "float32"), finite(case.shape, "float32")
    rng = seed(case.id, dtype)
    refused = 0
    for value in wrong_values(dtype):
        z = good.copy()
        at = tuple(int(rng.integers(n)) for n in z.shape)
        z[at] = value
        out = np.full(case.shape, 7, np.float32)
        taken = np.full(z.shape, 7, np.float32)
        calls = (
            lambda z=z, out=out, **o: cypool.max_pool_grad(grad, z, case.shape, **case.window, **o),
            lambda z=z, out=out, **o: cypool.max_pool_take(x, z, **case.window, **o),
        )
        try:
            want = reference.max_pool_take(x, z, **case.window)
        except ValueError:
            refused += 1
            for call, target in zip(calls, (out, taken), strict=True):
                for options in ({}, {"num_threads": 3}, {"out": target}):
                    with pytest.raises(ValueError, match="indices must name cells") as error:
                        call(**options)
                assert f" {value} for window {at}" in str(error.value)
                assert (target == 7).all()
        else:
            assert_same(calls[1](), want)
            want = reference.max_pool_grad(grad, z, case.shape, **case.window)
            np.testing.assert_allclose(calls[0](), want, rtol=1e-5, atol=1e-4)
    assert refused


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@by_id("case", FUZZED)
def test_indices_of_noise(case, dtype, level):
    """Nothing but noise: refused, and never a stray read or write."""
    rng = seed(case.id, dtype, "noise")
    info = np.iinfo(dtype)
    grad, x = shares(case, "float64"), finite(case.shape, "float64")
    for _ in range(20):
        z = rng.integers(info.min, info.max, grad.shape, dtype, endpoint=True)
        try:
            want = reference.max_pool_take(x, z, **case.window)
        except ValueError:
            for call in (
                lambda z=z: cypool.max_pool_grad(grad, z, case.shape, **case.window),
                lambda z=z: cypool.max_pool_take(x, z, **case.window),
            ):
                with pytest.raises(ValueError, match="indices must name cells"):
                    call()
        else:
            assert_same(cypool.max_pool_take(x, z, **case.window), want)


def test_indices_of_another_pool():
    """The indices of a larger array, or of other windows."""
    x = np.arange(100.0).reshape(10, 10)
    y, flat = cypool.max_pool(x, 2, return_indices=True)
    with pytest.raises(ValueError, match=r"got the position in the pooled axes 31 for window \(1, 0\)"):
        cypool.max_pool_grad(y, flat, (10, 11), 2)
    _, offsets = cypool.max_pool(x, 5, 5, return_indices="window")
    with pytest.raises(ValueError, match=r"got the offset in the window 24 for window \(0, 0\)"):
        cypool.max_pool_grad(np.ones((2, 2)), offsets, (4, 4), 2)


# --------------------------------------------------------------------------------------------------- arguments


def calls_with(case, grad, shape=None, z=None, **options):
    """Each of the functions that take a gradient, with these arguments."""
    flat, window = some_indices(case)
    shape = case.shape if shape is None else shape
    for indices in (flat, window) if z is None else (z,):
        for function in (cypool.max_pool_grad, cypool.min_pool_grad):
            yield partial(function, grad, indices, shape, **case.window, **options)
    for function in (cypool.avg_pool_grad, cypool.sum_pool_grad):
        yield partial(function, grad, shape, **case.window, **options)


@pytest.mark.parametrize("layout", ["C", "F", "rotated", "reversed", "stepped", "misaligned"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_out(layout, dtype, level):
    for case in FEW:
        grad = shares(case, dtype)
        for call in calls_with(case, grad):
            want = call()
            out = LAYOUTS[layout](np.full(want.shape, 7, want.dtype))
            assert call(out=out, num_threads=2) is out
            # In another memory order the shares may be added in another one.
            near = {"rtol": 1e-5, "atol": 1e-4} if dtype in WIDE else {"rtol": 2**-7, "atol": 1e-4}
            np.testing.assert_allclose(out.astype("f8"), want.astype("f8"), **near)
            if layout == "C":
                assert_same(out, want)
        x = finite(case.shape, dtype)
        for z in some_indices(case):
            out = LAYOUTS[layout](np.full(z.shape, 7, dtype_of(dtype)))
            assert cypool.max_pool_take(x, z, **case.window, out=out) is out
            assert_same(np.array(out), cypool.max_pool_take(x, z, **case.window))


def test_out_writes_nothing_beside_it(level):
    case = Case((9, 10), 3, 2, 1)
    for call in calls_with(case, shares(case, "float32")):
        room = np.full((13, 14), 7, np.float32)
        call(out=room[2:11, 3:13])
        assert_same(room[2:11, 3:13], call())
        room[2:11, 3:13] = 7
        assert (room == 7).all()


def test_out_over_the_arguments(level):
    case = Case((12, 12), 3, 1, 1)
    for n in (1, 2):
        for i in range(6):
            grad = shares(case, "float32")
            call = list(calls_with(case, grad))[i]
            want = call()
            assert call(out=grad, num_threads=n) is grad
            assert_same(grad, want)
        z = some_indices(case)[0].copy()
        grad = shares(case, "float64")
        want = cypool.max_pool_grad(grad, z, case.shape, **case.window)
        got = cypool.max_pool_grad(grad, z, case.shape, **case.window, out=z.view("f8"), num_threads=n)
        assert_same(got, want)
        x, z = finite(case.shape, "float32"), some_indices(case)[0]
        want = cypool.max_pool_take(x, z, **case.window)
        assert_same(cypool.max_pool_take(x, z, **case.window, out=x[::-1], num_threads=n), want)


def test_memory_order_follows_the_gradient():
    case = Case((4, 6, 8), 2)
    for call in calls_with(case, shares(case, "float32")):
        assert call().flags.c_contiguous
    for call in calls_with(case, np.asfortranarray(shares(case, "float32"))):
        assert call().flags.f_contiguous


def test_arguments_are_not_modified():
    case = Case((9, 10), 3, 2, 1)
    grad = shares(case, "float32")
    before = grad.copy()
    for call in calls_with(case, grad):
        call()
    assert_same(grad, before)


@pytest.mark.parametrize("dtype", ["bool", "int32", "uint8", "longdouble", "clongdouble", "O", "S3"])
def test_dtypes_of_the_gradient_that_are_refused(dtype):
    case = Case((4, 4), 2)
    for call in calls_with(case, np.zeros((2, 2), dtype)):
        with pytest.raises(TypeError, match="grad must have dtype float16, bfloat16, float32 or float64"):
            call()


def test_no_choices_of_complex_numbers():
    with pytest.raises(TypeError, match="float64, got complex64"):
        cypool.max_pool_grad(np.zeros((2, 2), "c8"), np.zeros((2, 2), np.uint8), (4, 4), 2)


@pytest.mark.parametrize("dtype", ["bool", "float32", "complex64", "O", "S3"])
def test_dtypes_of_the_indices_that_are_refused(dtype):
    z = np.zeros((2, 2), dtype)
    for call in (
        lambda: cypool.max_pool_grad(np.zeros((2, 2)), z, (4, 4), 2),
        lambda: cypool.max_pool_take(np.zeros((4, 4)), z, 2),
    ):
        with pytest.raises(TypeError, match="indices must be of an integer dtype"):
            call()


def test_masked_arrays_are_refused():
    masked, plain = np.ma.masked_array(np.zeros((2, 2)), True), np.zeros((2, 2), np.uint8)
    with pytest.raises(TypeError, match="grad is a masked array"):
        cypool.sum_pool_grad(masked, (4, 4), 2)
    with pytest.raises(TypeError, match="indices is a masked array"):
        cypool.max_pool_grad(np.zeros((2, 2)), masked, (4, 4), 2)
    with pytest.raises(TypeError, match="x is a masked array"):
        cypool.max_pool_take(masked, plain, 1)


def test_shapes_that_are_refused():
    grad, z = np.zeros((2, 2)), np.zeros((2, 2), np.uint8)
    for shape in ((4, 6), (4,), (2, 4, 4)):
        with pytest.raises(ValueError, match="grad must have the shape"):
            cypool.sum_pool_grad(grad, shape, 2)
    with pytest.raises(ValueError, match="indices must have the shape"):
        cypool.max_pool_grad(grad, z[:1], (4, 4), 2)
    with pytest.raises(ValueError, match="indices must have the shape"):
        cypool.max_pool_take(np.zeros((4, 5, 4)), z, 2)
    with pytest.raises(TypeError, match="shape must be an integer or a sequence of integers, got 4"):
        cypool.sum_pool_grad(grad, 4, 2)
    with pytest.raises(TypeError, match=r"shape must be an integer, got 4\.0"):
        cypool.sum_pool_grad(grad, (4.0, 4), 2)
    with pytest.raises(ValueError, match="shape must be at least 0, got -4"):
        cypool.sum_pool_grad(grad, (-4, 4), 2)
    assert_same(cypool.sum_pool_grad(grad, np.array([4, 4]), 2), np.zeros((4, 4)))


def test_other_arguments_that_are_refused():
    case = Case((4, 4), 2)
    grad = shares(case, "float32")
    readonly = np.zeros((4, 4), np.float32)
    readonly.flags.writeable = False
    for call in calls_with(case, grad):
        for out, error, said in (
            ([], TypeError, "out must be an ndarray"),
            (np.zeros((4, 5), np.float32), ValueError, "out must have shape"),
            (np.zeros((4, 4)), ValueError, "out must have shape"),
            (readonly, ValueError, "out must be writeable"),
        ):
            with pytest.raises(error, match=said):
                call(out=out)
        with pytest.raises(ValueError, match="num_threads"):
            call(num_threads=0)
        with pytest.raises(ValueError, match="padding"):
            call(padding=-1)
        with pytest.raises(TypeError, match="kernel_size"):
            call(kernel_size={2})
        with pytest.raises(TypeError, match="ceil_mode"):
            call(ceil_mode=1)
    with pytest.raises(TypeError, match="count_include_pad"):
        cypool.avg_pool_grad(grad, (4, 4), 2, count_include_pad=1)
    with pytest.raises(ValueError, match="divisor_override"):
        cypool.avg_pool_grad(grad, (4, 4), 2, divisor_override=0)
    with pytest.raises(TypeError, match="cannot be pooled"):
        cypool.max_pool_take(np.zeros((4, 4), "O"), np.zeros((2, 2), np.uint8), 2)


def test_windows_that_reach_far():
    """Positions near the limits of 64 bits, in gradients of a few cells."""
    for window in (
        {"kernel_size": 2**40 + 1, "stride": 2**39, "padding": 2**40},
        {"kernel_size": 3, "stride": 2**61, "padding": 0},
        {"kernel_size": 2, "stride": 2**61, "padding": ((2**61, 0),), "dilation": 2**61},
        {"kernel_size": 3, "stride": 7**20, "padding": (((7**20) * 2, 0),), "dilation": 7**20},
    ):
        grad = np.arange(1.0, 1 + cypool.output_shape((5,), **window)[0])
        got = cypool.sum_pool_grad(grad, (5,), **window)
        x = np.arange(5.0)
        np.testing.assert_allclose(np.vdot(cypool.sum_pool(x, **window), grad), np.vdot(x, got))
        _, flat = cypool.max_pool(x, **window, return_indices=True)
        assert cypool.max_pool_grad(grad, flat, (5,), **window).sum() == grad.sum()
        assert_same(cypool.max_pool_take(x, flat, **window), cypool.max_pool(x, **window))
    with pytest.raises(OverflowError, match="too many to number"):
        cypool.max_pool_grad(np.ones((1, 1)), np.zeros((1, 1), np.uint64), (1, 1), 2**32, 1, ((2**32 - 1, 0),) * 2)


def test_sixty_four_axes():
    shape = [1] * 64
    shape[3], shape[20], shape[63] = 4, 3, 5
    small = (4, 3, 5)
    for axis, small_axis in (((63, 3), (2, 0)), ((20,), (1,)), ((3, 20, 63), (0, 1, 2))):
        x = seed(axis).random(small)
        _, z = cypool.max_pool(x, 2, 1, axis=small_axis, return_indices=True)
        window = cypool.output_shape(shape, 2, 1, axis=axis)
        for name, rest in (("max_pool_grad", (z.reshape(window),)), ("avg_pool_grad", ())):
            got = getattr(cypool, name)(np.ones(window), *rest, shape, 2, 1, axis=axis)
            want = getattr(cypool, name)(
                np.ones(z.shape), *(r.reshape(z.shape) for r in rest), small, 2, 1, axis=small_axis
            )
            assert_same(got.reshape(small), want)


# -------------------------------------------------------------------------------------------------- torch


TORCH = (
    ((2, 3, 14, 15), (3, 3), 2, 1),
    ((2, 3, 14, 15), (2, 2), 2, 0),
    ((2, 20, 13, 13), (3, 3), 1, 1),
    ((1, 4, 30, 30), (13, 13), 1, 6),
    ((1, 40, 12, 12), (3, 2), (1, 3), (1, 0)),
)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), TORCH)
@pytest.mark.parametrize("dtype", WIDE)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_torch_autograd(shape, kernel, stride, padding, dtype, layout, level):
    torch = pytest.importorskip("torch")
    x = seed(shape, kernel).standard_normal(shape).astype(dtype)
    held = x if layout == "NCHW" else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    axis = (2, 3) if layout == "NCHW" else (1, 2)
    home = (lambda a: a) if layout == "NCHW" else (lambda a: a.transpose(0, 3, 1, 2))
    window = {"kernel_size": kernel, "stride": stride, "padding": padding}
    tolerance = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}

    def of_torch(function, **options):
        t = torch.from_numpy(x.copy()).requires_grad_()
        y = function(t, **window, **options)
        grad = seed(shape, "grad").standard_normal(tuple(y.shape)).astype(dtype)
        y.backward(torch.from_numpy(grad))
        return t.grad.numpy(), grad if layout == "NCHW" else np.ascontiguousarray(grad.transpose(0, 2, 3, 1))

    want, grad = of_torch(torch.nn.functional.max_pool2d)
    for kind in (True, "window"):
        _, z = cypool.max_pool(held, **window, axis=axis, return_indices=kind)
        np.testing.assert_allclose(
            home(cypool.max_pool_grad(grad, z, held.shape, **window, axis=axis)), want, **tolerance
        )
    for include in (True, False):
        want, grad = of_torch(torch.nn.functional.avg_pool2d, count_include_pad=include)
        got = cypool.avg_pool_grad(grad, held.shape, **window, axis=axis, count_include_pad=include)
        np.testing.assert_allclose(home(got), want, **tolerance)


# --------------------------------------------------------------------------------- the space between the cases


@given(
    case=pools(),
    dtype=st.sampled_from(FLOATS),
    layout=st.sampled_from(sorted(LAYOUTS)),
    level=st.sampled_from(LEVELS),
    none=st.booleans(),
)
@example(
    case=Case((2, 1, 1, 1), (1, 3, 2), axis=(0, 1, 2), ceil_mode=True),
    dtype="float16",
    layout="C",
    level="baseline",
    none=False,
)
def test_any_gradient(case, dtype, layout, level, none):
    try:
        shape = reference.output_shape(case.shape, **case.window)
    except ValueError:
        with pytest.raises(ValueError, match="axis"):
            cypool.sum_pool_grad(np.zeros(case.shape, dtype_of(dtype)), case.shape, **case.window)
        return
    assume(np.prod(shape) < 2000)
    with running(level):
        check_max(case, dtype, (1, 3), layout, none)
        check_sum(case, dtype, AVERAGES[:3], (1, 3), layout)
        x = LAYOUTS[layout](finite(case.shape, dtype_of(dtype)))
        for which, (options, gaps) in enumerate(zip((*AVERAGES[1:], {}), (*GAPS, GAPS[2]), strict=True)):
            check_gaps(case, dtype, which, {**options, **gaps}, layout)
        for z in some_indices(case, none):
            want = reference.max_pool_take(np.array(x), z, **case.window)
            assert_same(cypool.max_pool_take(x, z, **case.window, num_threads=2), want)
