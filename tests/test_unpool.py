"""max_unpool and its gradient against the specification and torch, at every level and on 1 to 4 threads."""

from functools import cache

import numpy as np
import pytest
from cases import CASES, DTYPES, FEW, LAYOUTS, THREADS, Case, dtype_of, finite, ordered, seed
from compare import assert_same
from test_gradients import APART, FUZZED, INDEX_DTYPES, by_id, some_indices, wrong_values

import cypool
from cypool import reference

pytestmark = pytest.mark.usefixtures("eager_threads")


def values(case, dtype="float32"):
    """A number for each window."""
    make = ordered if dtype_of(dtype).kind in "mM" else finite
    return make(reference.output_shape(case.shape, **case.window), dtype)


@by_id("case", CASES)
def test_unpool(case, level):
    y, x = values(case), finite(case.shape, "float32")
    for z in some_indices(case, none=True):
        want = reference.max_unpool(y, z, **case.window, output_shape=case.shape)
        back = reference.max_unpool_grad(x, z, **case.window)
        for n in THREADS:
            assert_same(cypool.max_unpool(y, z, **case.window, output_shape=case.shape, num_threads=n), want)
            assert_same(cypool.max_unpool_grad(x, z, **case.window, num_threads=n), back)


@cache
def wanted(case, dtype, name="C"):
    """Per kind of indices, the specification's answer to `values` in some layout."""
    y = np.array(LAYOUTS[name](values(case, dtype)))
    return [
        (z, reference.max_unpool(y, z, **case.window, output_shape=case.shape)) for z in some_indices(case, none=True)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype, level):
    for case in FEW:
        for z, want in wanted(case, dtype):
            got = cypool.max_unpool(values(case, dtype), z, **case.window, output_shape=case.shape)
            assert_same(got, np.asarray(want))


@by_id("case", FEW)
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(case, name, level):
    layout = LAYOUTS[name]
    y, x = layout(values(case)), layout(finite(case.shape, "float32"))
    for z, want in wanted(case, "float32", name):
        held = z if "broadcast" in name else layout(z)
        got = cypool.max_unpool(y, held, **case.window, output_shape=case.shape, num_threads=2)
        assert_same(got, want)
        back = cypool.max_unpool_grad(x, held, **case.window, num_threads=2)
        assert_same(back, cypool.max_pool_take(np.array(x), z, **case.window))


@by_id("case", FEW)
def test_flat_indices_name_any_cell(case, level):
    """The last window in row-major order wins, in every memory order."""
    y, x = values(case), finite(case.shape, "float32")
    axes = case.axis or range(len(case.shape) - np.size(case.kernel_size) if np.ndim(case.kernel_size) else 0, x.ndim)
    cells = int(np.prod([case.shape[a] for a in np.atleast_1d(axes)]))
    for most in (cells, 2):
        z = seed(case.id).integers(-1, most, y.shape)
        want = reference.max_unpool(y, z, **case.window, output_shape=case.shape)
        back = reference.max_unpool_grad(x, z, **case.window)
        for layout in (np.ascontiguousarray, np.asfortranarray, LAYOUTS["rotated"], LAYOUTS["reversed"]):
            for n in THREADS:
                got = cypool.max_unpool(layout(y), z, **case.window, output_shape=case.shape, num_threads=n)
                assert_same(got, want)
                out = layout(np.full(case.shape, 7, np.float32))
                cypool.max_unpool(y, layout(z), **case.window, output_shape=case.shape, out=out, num_threads=n)
                assert_same(np.array(out), want)
                assert_same(cypool.max_unpool_grad(layout(x), z, **case.window, num_threads=n), back)


@by_id("case", APART)
def test_windows_that_are_apart(case, level):
    """Each tile of them has cells of its own, and all that no index names are zero."""
    y = values(case)
    for z in some_indices(case, none=True):
        want = reference.max_unpool(y, z, **case.window, output_shape=case.shape)
        for layout in (np.ascontiguousarray, np.asfortranarray, LAYOUTS["reversed"], LAYOUTS["stepped"]):
            for n in (1, 3):
                out = layout(np.full(case.shape, 7, np.float32))
                cypool.max_unpool(layout(y), z, **case.window, output_shape=case.shape, out=out, num_threads=n)
                assert_same(np.array(out), want)


@by_id("case", CASES)
def test_shapes_that_are_inferred(case):
    y, z = values(case), some_indices(case)[1]
    try:
        want = reference.max_unpool(y, z, **case.window)
    except ValueError:
        with pytest.raises(ValueError, match=r"axis|shape|indices"):
            cypool.max_unpool(y, z, **case.window)
    else:
        assert_same(cypool.max_unpool(y, z, **case.window), want)
    if case.axis is not None:
        sizes = [case.shape[a] for a in np.atleast_1d(case.axis)]
        if len(sizes) < len(case.shape):
            want = cypool.max_unpool(y, z, **case.window, output_shape=case.shape)
            assert_same(cypool.max_unpool(y, z, **case.window, output_shape=sizes), want)


@by_id("case", CASES)
def test_the_gradient_is_the_transpose(case):
    """<unpool(y), x> = <y, grad(x)> where no cell is named twice."""
    flat, window = (z.copy() for z in some_indices(case))
    seen = reference.max_pool_grad(np.ones(flat.shape), flat, case.shape, **case.window)
    twice = reference.max_pool_take(seen, flat, **case.window) > 1
    flat[twice] = -1
    window[twice] = np.iinfo(window.dtype).max
    y, x = values(case, "float64"), finite(case.shape, "float64")
    for z in (flat, window):
        put = cypool.max_unpool(y, z, **case.window, output_shape=case.shape)
        np.testing.assert_allclose(np.vdot(put, x), np.vdot(y, cypool.max_unpool_grad(x, z, **case.window)), rtol=1e-12)


def test_unpooling_undoes_pooling(level):
    x = np.abs(finite((3, 8, 10), "float32")) + 1
    y, z = cypool.max_pool(x, (2, 2), return_indices=True)
    again = cypool.max_unpool(y, z, (2, 2))
    assert_same(cypool.max_pool(again, (2, 2)), y)
    assert_same(np.where(again == 0, x, again), x)
    assert_same(cypool.max_unpool_grad(x, z, (2, 2)), y)


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
@by_id("case", FUZZED)
def test_wrong_indices(case, dtype, level):
    flat, window = some_indices(case)
    good = (flat if dtype.startswith("i") else window).astype(dtype)
    y, x = values(case), finite(case.shape, "float32")
    rng = seed(case.id, dtype)
    refused = 0
    for value in (*wrong_values(dtype), *((-2,) if dtype.startswith("i") else ())):
        z = good.copy()
        at = tuple(int(rng.integers(n)) for n in z.shape)
        z[at] = value
        out, back = np.full(case.shape, 7, np.float32), np.full(z.shape, 7, np.float32)
        try:
            want = reference.max_unpool(y, z, **case.window, output_shape=case.shape)
        except ValueError:
            refused += 1
            for n in (1, 3):
                with pytest.raises(ValueError, match=rf"indices must name cells of .* {value} for window \({at[0]},"):
                    cypool.max_unpool(y, z, **case.window, output_shape=case.shape, out=out, num_threads=n)
                with pytest.raises(ValueError, match=rf"indices must name cells of .* {value} for window \({at[0]},"):
                    cypool.max_unpool_grad(x, z, **case.window, out=back, num_threads=n)
            assert (out == 7).all()
            assert (back == 7).all()
        else:
            assert_same(cypool.max_unpool(y, z, **case.window, output_shape=case.shape), want)
            assert_same(cypool.max_unpool_grad(x, z, **case.window), reference.max_unpool_grad(x, z, **case.window))
    assert refused


def test_what_is_refused():
    y, z = np.ones((2, 3)), np.zeros((2, 3), np.uint8)
    for shape, said in (((4, 9), "y must have the shape"), ((4,), "output_shape must have one size"),
                        ((4, -1), "output_shape must be at least 0, got -1")):  # fmt: skip
        with pytest.raises(ValueError, match=said):
            cypool.max_unpool(y, z, 2, output_shape=shape)
    with pytest.raises(ValueError, match="indices must have the shape"):
        cypool.max_unpool(y, z[:1], 2)
    with pytest.raises(ValueError, match="y of size 2 along axis 0 is no pool of anything"):
        cypool.max_unpool(y, z, 2, 1, 2)
    with pytest.raises(TypeError, match="y is a masked array"):
        cypool.max_unpool(np.ma.masked_array(y, True), z, 2)
    with pytest.raises(TypeError, match="cannot be pooled"):
        cypool.max_unpool(y.astype("O"), z, 2)
    with pytest.raises(TypeError, match="indices must be of an integer dtype"):
        cypool.max_unpool(y, z.astype(bool), 2)


TORCH = (
    ((2, 3, 20), (2,), None, 0, None),
    ((2, 3, 21), (3,), 3, 1, (21,)),
    ((2, 3, 12, 11), (2, 3), None, 0, (12, 11)),
    ((2, 3, 14, 14), (3, 3), 2, 0, (14, 14)),
    ((1, 2, 6, 8, 10), (2, 2, 2), None, 0, None),
    ((1, 2, 7, 7, 7), (3, 3, 3), 2, 1, None),
)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "size"), TORCH)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch(shape, kernel, stride, padding, size, dtype, level):
    torch = pytest.importorskip("torch")
    pool = getattr(torch.nn.functional, f"max_pool{len(kernel)}d")
    unpool = getattr(torch.nn.functional, f"max_unpool{len(kernel)}d")
    y, z = pool(torch.from_numpy(finite(shape, dtype)), kernel, stride, padding, return_indices=True)
    y.requires_grad_()
    want = unpool(y, z, kernel, stride, padding, size)
    got = cypool.max_unpool(y.detach().numpy(), z.numpy(), kernel, stride, padding, output_shape=size)
    assert_same(got, want.detach().numpy())
    grad = finite(got.shape, dtype)
    want.backward(torch.from_numpy(grad))
    assert_same(cypool.max_unpool_grad(grad, z.numpy(), kernel, stride, padding), y.grad.numpy())


def test_memory_order_follows_what_is_put():
    case = Case((4, 6, 8), 2)
    y, z = values(case), some_indices(case)[0]
    assert cypool.max_unpool(y, z, 2).flags.c_contiguous
    assert cypool.max_unpool(np.asfortranarray(y), z, 2).flags.f_contiguous
    room = np.zeros(case.shape, np.float32)
    want = cypool.max_unpool(y, z, 2)
    room[:2, :3, :4] = y
    assert_same(cypool.max_unpool(room[:2, :3, :4], z, 2, out=room), want)
