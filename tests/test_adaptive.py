"""Adaptive and global pools against the specification, torch, and each other."""

import functools

import numpy as np
import pytest
from cases import LAYOUTS, ORDERED, SUMMABLE, THREADS, finite, ordered, seed
from compare import assert_same, assert_within

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")

# (shape, output_size, axis): fewer bins and more than cells, equal ones, every place of lanes and rows
CASES = (
    ((1,), 3, None),
    ((7,), 3, None),
    ((10,), 5, None),
    ((5,), 12, None),
    ((301,), 7, None),
    ((2500,), 3, None),
    ((3, 2100), (5,), None),
    ((1, 3000), (None, 2001), None),
    ((17000, 2), 3, 0),
    ((9, 10), (4, 3), None),
    ((9, 10), (3, 4), (1, 0)),
    ((9, 10), (None, 4), None),
    ((9, 10), None, None),
    ((2, 3, 13, 11), (5, 7), None),
    ((2, 3, 13, 11), (1, 1), None),
    ((2, 3, 6, 5), (9, 8), None),
    ((1, 4, 40, 90), (3, 7), None),
    ((2, 12, 9, 3), (5, 4), (1, 2)),
    ((2, 7, 9, 40), (5, 4), (1, 2)),
    ((2, 90, 4, 9), 7, 1),
    ((2, 40, 13, 14), (6, 5), None),
    ((70, 200), (9,), None),
    ((33, 150), (40,), None),
    ((6, 5, 4, 7), (4, 3, 5), (3, 0, 1)),
    ((2, 3, 5, 6, 7), (2, 4, 5), None),
    ((0, 5), (3,), None),
    ((3, 4, 5, 2, 3), 2, None),
)
FEW = (((2, 3, 13, 11), (5, 7), None), ((2, 7, 9, 10), (5, 4), (1, 2)), ((301,), 7, None))
EXTREMES = ("max", "min")


def name_of(case):
    return "-".join(str(fact).replace(" ", "") for fact in case)


by_case = functools.partial(pytest.mark.parametrize, "case", ids=name_of)


def pool(module, op, x, case, **options):
    _, size, axis = case
    return getattr(module, f"adaptive_{op}_pool")(x, size, axis=axis, **options)


def bound(x, y, case, eps):
    """(log2(n) + 3) * eps * sum|x| / n for the largest n, which bounds every bin."""
    size = np.abs(x.astype(np.complex128 if x.dtype.kind == "c" else np.float64))
    cells = reference._Bins(x.shape, case[1], case[2]).kernels
    return (np.log2(np.prod(cells)) + 3) * eps * np.abs(pool(reference, "avg", size, case))


@functools.cache
def wanted(op, case, dtype):
    """The array, its pool by the specification, and the flat and window indices or how far off a mean may be."""
    if op in EXTREMES:
        x = ordered(case[0], dtype)
        y, flat = pool(reference, op, x, case, return_indices=True)
        return x, y, flat, pool(reference, op, x, case, return_indices="window")[1]
    x = finite(case[0], dtype)
    y = pool(reference, "avg", x, case)
    return x, y, bound(x, y, case, 2.0**-7 if y.dtype.name == "bfloat16" else np.finfo(y.dtype).eps)


@by_case(CASES)
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_max_and_min(case, dtype, level):
    for op in EXTREMES:
        x, y, flat, window = wanted(op, case, dtype)
        for n in THREADS:
            assert_same(pool(cypool, op, x, case, num_threads=n), y)
            for kind, want in ((True, flat), ("window", window)):
                got, indices = pool(cypool, op, x, case, return_indices=kind, num_threads=n)
                assert_same(got, y)
                assert_same(indices, want)


@by_case(CASES)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_avg(case, dtype, level):
    x, want, far = wanted("avg", case, dtype)
    results = [pool(cypool, "avg", x, case, num_threads=n) for n in THREADS]
    assert_within(results[0], want, far)
    for result in results[1:]:
        assert_same(result, results[0])
    if dtype == "uint8":
        assert_same(pool(cypool, "avg", x, case, dtype=dtype), pool(reference, "avg", x, case, dtype=dtype))


@by_case(FEW)
@pytest.mark.parametrize("dtype", ORDERED)
def test_max_and_min_of_every_dtype(case, dtype, level):
    for op in EXTREMES:
        x, y, _, window = wanted(op, case, dtype)
        for got, want in zip(pool(cypool, op, x, case, return_indices="window"), (y, window), strict=True):
            assert_same(got, want)
        assert_same(pool(cypool, op, x, case), y)


@by_case(FEW)
@pytest.mark.parametrize("dtype", SUMMABLE)
def test_avg_of_every_dtype(case, dtype, level):
    x, want, far = wanted("avg", case, dtype)
    assert_within(pool(cypool, "avg", x, case), want, far)


@by_case(FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float16"])
def test_layouts(case, layout, dtype):
    x = LAYOUTS[layout](ordered(case[0], dtype))
    want = pool(reference, "max", np.array(x), case, return_indices=True)
    y, indices = pool(cypool, "max", x, case, return_indices=True, num_threads=2)
    assert_same(y, want[0])
    assert_same(indices, want[1])
    assert y.flags.f_contiguous == (x.flags.f_contiguous and not x.flags.c_contiguous) or y.ndim == 1
    x = LAYOUTS[layout](finite(case[0], "float64"))
    want = pool(reference, "avg", np.array(x), case)
    assert_within(pool(cypool, "avg", x, case), want, bound(np.array(x), want, case, 2.0**-52))


@by_case(FEW)
@pytest.mark.parametrize("dtype", ["float32", "int32"])
@pytest.mark.parametrize("policy", ["propagate", "omit"])
def test_cells_left_out(case, dtype, policy, level):
    x = ordered(case[0], dtype)
    options = {"nan_policy": policy, "where": seed(case).random(x.shape) < 0.7, "min_count": 2, "fill_value": -9}
    for op in EXTREMES:
        for kind in (True, "window"):
            want = pool(reference, op, x, case, return_indices=kind, **options)
            for n in (1, 3):
                got = pool(cypool, op, x, case, return_indices=kind, num_threads=n, **options)
                for one, right in zip(got, want, strict=True):
                    assert_same(one, right)
    x = np.where(seed(case, 1).random(x.shape) < 0.2, np.nan, finite(x.shape, dtype))
    want = pool(reference, "avg", x, case, **options)
    assert_within(
        pool(cypool, "avg", x, case, **options), want, bound(np.nan_to_num(x), want, case, np.finfo(want.dtype).eps) * 4
    )


def test_a_nan_is_refused():
    x = np.ones((4, 7))
    x[2, 5] = np.nan
    with pytest.raises(ValueError, match=r"x has a NaN at \(2, 5\), which nan_policy='raise' refuses"):
        cypool.adaptive_max_pool(x, (3, 4), nan_policy="raise")
    where = np.ones(x.shape, bool)
    where[2, 5] = False
    assert cypool.adaptive_avg_pool(x, (3, 4), nan_policy="raise", where=where).sum() == 12


@pytest.mark.parametrize("shape", [(2, 3, 17), (2, 3, 9, 14), (1, 2, 5, 9, 8)], ids=lambda s: f"{len(s) - 2}d")
@pytest.mark.parametrize("bins", [1, 2, 3, 5, 7, 11])
def test_torch(shape, bins):
    torch = pytest.importorskip("torch")
    d = len(shape) - 2
    x = seed(shape, bins).integers(-4, 4, shape).astype(np.float32)
    sizes = tuple(max(1, bins - i) for i in range(d))
    y, indices = getattr(torch.nn.functional, f"adaptive_max_pool{d}d")(torch.from_numpy(x), sizes, return_indices=True)
    got, flat = cypool.adaptive_max_pool(x, sizes, return_indices=True)
    assert_same(got, y.numpy())
    assert_same(flat, indices.numpy())
    mean = getattr(torch.nn.functional, f"adaptive_avg_pool{d}d")(torch.from_numpy(x), sizes).numpy()
    np.testing.assert_allclose(cypool.adaptive_avg_pool(x, sizes), mean, rtol=1e-5, atol=1e-6)


def test_out():
    x = finite((3, 8, 9), "float32")
    want = cypool.adaptive_avg_pool(x, (3, 4))
    room = np.zeros((3, 6, 8), np.float32)
    out = room[:, ::2, ::-2]
    assert cypool.adaptive_avg_pool(x, (3, 4), out=out) is out
    assert_same(out.copy(), want)
    held = x.copy()
    assert_same(cypool.adaptive_max_pool(held, (8, 4), out=held[:, :, :4]), cypool.adaptive_max_pool(x, (8, 4)))


WRONG = (
    (ValueError, "output_size must be at least 1, got 0", {"output_size": 0}),
    (ValueError, "output_size must be at least 1, got -3", {"output_size": (2, -3)}),
    (ValueError, r"output_size must have one entry per pooled axis \(1\)", {"output_size": (2, 2), "axis": 0}),
    (ValueError, r"output_size must have one entry per pooled axis \(2\)", {"output_size": (2,), "axis": (0, 1)}),
    (ValueError, r"output_size has 3 entries for an array of 2 axes", {"output_size": (2, 2, 2)}),
    (ValueError, r"output_size must have at least one entry, got \(\)", {"output_size": ()}),
    (TypeError, "output_size must be an integer, got 2.0", {"output_size": 2.0}),
    (TypeError, "output_size must be an integer, got True", {"output_size": True}),
    (TypeError, "output_size must be an integer or a sequence of integers, got '7'", {"output_size": "7"}),
    (ValueError, "axis 2 is out of range for an array of 2 axes", {"output_size": 2, "axis": 2}),
    (OverflowError, r"output_size makes more than 2\*\*62 bins of axis 0, got", {"output_size": 2**80}),
    (MemoryError, "output_size", {"output_size": (2**61, 1)}),
)


@pytest.mark.parametrize(("error", "message", "arguments"), WRONG, ids=lambda v: str(v)[:40])
def test_refusals(error, message, arguments):
    x = np.ones((4, 5))
    for op in (*EXTREMES, "avg"):
        with pytest.raises(error, match=message):
            getattr(cypool, f"adaptive_{op}_pool")(x, **arguments)


def test_an_axis_of_no_cells():
    with pytest.raises(ValueError, match="axis 1 of size 0 has no cell to make a bin of, got output_size 3"):
        cypool.adaptive_max_pool(np.ones((4, 0)), 3)


# ---------------------------------------------------------------------------------------------- gradients


@by_case([c for c in CASES if np.prod(c[0]) < 20000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients(case, dtype, level):
    shape, size, axis = case
    x = ordered(shape, dtype)
    for op in EXTREMES:
        function = getattr(cypool, f"adaptive_{op}_pool_grad")
        for kind in (True, "window"):
            y, indices = pool(cypool, op, x, case, return_indices=kind)
            grad = np.rint(finite(y.shape, dtype))  # whole numbers, whose sums are exact
            want = getattr(reference, f"adaptive_{op}_pool_grad")(grad, indices, shape, size, axis=axis)
            for n in (1, 3):
                assert_same(function(grad, indices, shape, size, axis=axis, num_threads=n) + 0.0, want + 0.0)
    grad = finite(y.shape, dtype)
    want = reference.adaptive_avg_pool_grad(grad, shape, size, axis=axis)
    far = reference.adaptive_avg_pool_grad(np.abs(grad), shape, size, axis=axis) * np.finfo(dtype).eps * 6
    results = [cypool.adaptive_avg_pool_grad(grad, shape, size, axis=axis, num_threads=n) for n in THREADS]
    assert_within(results[0], want, far * max(1, np.log2(max(1, *y.shape))))
    for result in results[1:]:
        assert_same(result, results[0])
    x = finite(shape, "float64")
    np.testing.assert_allclose(
        np.vdot(pool(cypool, "avg", x, case), grad), np.vdot(x, results[0]), rtol=1e-4, atol=1e-4 * grad.size
    )


@by_case([c for c in CASES if 0 < np.prod(c[0]) < 20000])
@pytest.mark.parametrize("min_count", [0, 1, 3])
def test_gradients_of_averages_of_the_cells_that_are_there(case, min_count, level):
    shape, size, axis = case
    rng = seed(name_of(case), min_count)
    where = rng.random(shape) < 0.6
    grad = finite(cypool.adaptive_avg_pool(where, size, axis=axis).shape, "float64")
    for there in (where, where[:1], True):
        options = {"axis": axis, "where": there, "min_count": min_count}
        want = reference.adaptive_avg_pool_grad(grad, shape, size, **options)
        got = cypool.adaptive_avg_pool_grad(grad, shape, size, **options)
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
        assert_same(cypool.adaptive_avg_pool_grad(grad, shape, size, **options, num_threads=3), got)
        assert not np.any(got[~np.broadcast_to(there, shape)])
        out = np.full(shape, 7.0)
        assert cypool.adaptive_avg_pool_grad(grad, shape, size, **options, out=out) is out
        assert_same(out, got)
    # The adjoint of the pool, whose windows without enough cells give 0.
    x = finite(shape, "float64")
    y = cypool.adaptive_avg_pool(x, size, axis=axis, where=where, min_count=max(1, min_count), fill_value=0.0)
    got = cypool.adaptive_avg_pool_grad(grad, shape, size, axis=axis, where=where, min_count=max(1, min_count))
    np.testing.assert_allclose(np.vdot(y, grad), np.vdot(x, got), rtol=1e-9, atol=1e-9)


def test_gradients_into_what_says_which_cells_are_there():
    out = np.array([1, 0, 1, 1, 1], np.uint8).view(np.bool_)
    room = np.zeros(5)
    where = room.view(np.bool_)[::8]
    where[...] = out
    want = cypool.adaptive_avg_pool_grad([2.0, 6.0, 8.0], (5,), 3, where=out)
    assert_same(cypool.adaptive_avg_pool_grad([2.0, 6.0, 8.0], (5,), 3, where=where, out=room), want)


@by_case(FEW)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_of_layouts(case, layout):
    shape, size, axis = case
    y, indices = pool(cypool, "max", finite(shape, "float64"), case, return_indices=True)
    grad = LAYOUTS[layout](np.rint(finite(y.shape, "float64")))
    indices = LAYOUTS["rotated"](indices)
    got = cypool.adaptive_max_pool_grad(grad, indices, shape, size, axis=axis)
    assert_same(got + 0.0, reference.adaptive_max_pool_grad(np.array(grad), indices, shape, size, axis=axis) + 0.0)
    got = cypool.adaptive_avg_pool_grad(grad, shape, size, axis=axis)
    np.testing.assert_allclose(
        got, reference.adaptive_avg_pool_grad(np.array(grad), shape, size, axis=axis), atol=1e-13
    )
    assert got.flags.f_contiguous == grad.flags.f_contiguous or got.ndim == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "complex64", "complex128"])
def test_gradients_of_other_dtypes(dtype):
    shape, size = (2, 9, 11), (4, 3)
    grad = finite((2, 4, 3), dtype)
    want = reference.adaptive_avg_pool_grad(grad, shape, size)
    eps = 2.0**-7 if dtype == "bfloat16" else np.finfo(grad.dtype).eps
    size_of = reference.adaptive_avg_pool_grad(np.abs(grad.astype(np.complex128)), shape, size).real
    assert_within(cypool.adaptive_avg_pool_grad(grad, shape, size), want, 8 * eps * size_of)


@pytest.mark.parametrize("shape", [(2, 3, 17), (2, 3, 9, 14), (1, 2, 5, 9, 8)], ids=lambda s: f"{len(s) - 2}d")
@pytest.mark.parametrize("bins", [2, 3, 7, 11])
def test_gradients_of_torch(shape, bins):
    torch = pytest.importorskip("torch")
    d = len(shape) - 2
    sizes = tuple(max(1, bins - i) for i in range(d))
    x = torch.from_numpy(finite(shape, "float64")).requires_grad_()
    for op in ("max", "avg"):
        y = getattr(torch.nn.functional, f"adaptive_{op}_pool{d}d")(x, sizes)
        grad = finite(tuple(y.shape), "float64")
        (want,) = torch.autograd.grad(y, x, torch.from_numpy(grad))
        if op == "max":
            _, indices = cypool.adaptive_max_pool(x.detach().numpy(), sizes, return_indices="window")
            got = cypool.adaptive_max_pool_grad(grad, indices, shape, sizes)
        else:
            got = cypool.adaptive_avg_pool_grad(grad, shape, sizes)
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-12, atol=1e-12)


def test_wrong_indices():
    """Flat ones of other bins, and window ones past a bin that is smaller than the largest."""
    out = np.full(7, 7.0)
    for indices, message in (
        (np.array([0, 1, 6]), r"got the position in the pooled axes 1 for window \(1,\)"),
        (np.array([3, 2, 6]), r"got the position in the pooled axes 3 for window \(0,\)"),
        (np.array([-2, 2, 6]), r"got the position in the pooled axes -2 for window \(0,\)"),
        (np.array([0, 3, 0], np.uint8), r"got the offset in the window 3 for window \(1,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            cypool.adaptive_max_pool_grad(np.ones(3), indices, (7,), 3, out=out)
    with pytest.raises(ValueError, match=r"got the offset in the window 2 for window \(0,\)"):
        cypool.adaptive_max_pool_grad(np.ones(3), np.array([2, 0, 0], np.uint8), (5,), 3)
    assert (out == 7).all()
    got = cypool.adaptive_max_pool_grad(np.ones(3), np.array([2, 255, 2], np.uint8), (7,), 3, out=out)
    assert got is out
    assert_same(out, np.array([0, 0, 1.0, 0, 0, 0, 1]))


def test_wrong_gradients():
    with pytest.raises(ValueError, match=r"grad must have the shape of the pool's result, \(3,\), got \(4,\)"):
        cypool.adaptive_avg_pool_grad(np.ones(4), (7,), 3)
    with pytest.raises(TypeError, match="grad must have a float or complex dtype, got int64"):
        cypool.adaptive_avg_pool_grad(np.ones(3, int), (7,), 3)
    with pytest.raises(TypeError, match="output_size must be an integer"):
        cypool.adaptive_avg_pool_grad(np.ones(3), (7,), 2.5)
    with pytest.raises(ValueError, match="shape must be at least 0, got -7"):
        cypool.adaptive_avg_pool_grad(np.ones(3), (-7,), 3)
    with pytest.raises(ValueError, match="out must have shape"):
        cypool.adaptive_avg_pool_grad(np.ones(3), (7,), 3, out=np.ones(6))


# ------------------------------------------------------------------------------------------------ global

WHOLE = (
    ((7,), None),
    ((5, 6), None),
    ((5, 6), 0),
    ((2, 3, 9), None),
    ((2, 3, 4, 5), None),
    ((2, 4, 5, 3), (1, 2)),
    ((2, 4, 5, 40), (-3, -2)),
    ((2, 3, 2, 3, 4), None),
    ((2, 3, 4), (2, 0)),
    ((0, 3, 4), 2),
)


@by_case(WHOLE)
@pytest.mark.parametrize("keepdims", [True, False])
def test_global(case, keepdims, level):
    shape, axis = case
    x = ordered(shape, "float32")
    for op in EXTREMES:
        for kind in (True, "window"):
            want = getattr(reference, f"global_{op}_pool")(x, axis=axis, keepdims=keepdims, return_indices=kind)
            got = getattr(cypool, f"global_{op}_pool")(x, axis=axis, keepdims=keepdims, return_indices=kind)
            for one, right in zip(got, want, strict=True):
                assert_same(one, right)
        out = np.empty_like(want[0])
        assert getattr(cypool, f"global_{op}_pool")(x, axis=axis, keepdims=keepdims, out=out) is out
        assert_same(out, want[0])
    x = finite(shape, "float32")
    want = reference.global_avg_pool(x, axis=axis, keepdims=keepdims)
    far = reference.global_avg_pool(np.abs(x), axis=axis, keepdims=keepdims) * np.float32(2**-23) * 8
    assert_within(cypool.global_avg_pool(x, axis=axis, keepdims=keepdims), want, far)


def test_global_options():
    x = np.array([[1.0, np.nan, 3], [5, 6, 7]])
    assert cypool.global_max_pool(x, nan_policy="omit").item() == 7
    assert_same(cypool.global_min_pool(x, axis=1, nan_policy="omit", keepdims=False), np.array([1.0, 5]))
    assert_same(cypool.global_avg_pool(x, axis=1, where=x < 6, keepdims=False), np.array([2.0, 5]))
    assert_same(cypool.global_avg_pool(np.array([1, 2, 4]), dtype=int), np.array([2]))
    with pytest.raises(ValueError, match=r"x has a NaN at \(0, 1\)"):
        cypool.global_avg_pool(x, nan_policy="raise")
    with pytest.raises(TypeError, match="keepdims must be True or False, got 1"):
        cypool.global_avg_pool(x, keepdims=1)
    with pytest.raises(ValueError, match="out must have 1 axes without keepdims, got shape"):
        cypool.global_avg_pool(x, axis=0, keepdims=False, out=np.ones((1, 3)))
    with pytest.raises(ValueError, match="axis: an array of no axes has none to pool"):
        cypool.global_max_pool(np.array(3.0))
    with pytest.raises(ValueError, match="axis 2 of size 0 has no cell"):
        cypool.global_max_pool(np.ones((2, 3, 0)))
    with pytest.raises(ValueError, match="axis 5 is out of range"):
        cypool.global_max_pool(x, axis=5, keepdims=False)
