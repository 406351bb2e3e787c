"""`cypool.functional` does what `torch.nn.functional` does, and refuses what that refuses.

Without torch the specification says what is to be expected, of the cases that are listed here.
"""

import importlib
import inspect
import itertools
from functools import partial

import numpy as np
import pytest
from cases import dtype_of, finite, ordered, seed
from compare import assert_same, assert_same_numbers, assert_within

import cypool.functional as F
from cypool import reference

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8")
REFUSED = ("bool", "uint16", "uint32", "uint64", "complex64", "datetime64[s]", "timedelta64[ns]")
NAMES = [f"{op}_pool{n}d" for op in ("max", "avg") for n in (1, 2, 3)]
LP = [f"lp_pool{n}d" for n in (1, 2, 3)]
UNPOOL = [f"max_unpool{n}d" for n in (1, 2, 3)]
ADAPTIVE = [f"adaptive_{op}_pool{n}d" for op in ("avg", "max") for n in (1, 2, 3)]
FRACTIONAL = ["fractional_max_pool2d", "fractional_max_pool3d"]


def axes_of(name):
    return int(name[-2])


def averaged(name):
    """The dtypes that are averaged along that many axes."""
    return ("float32", "float64", "int64") if axes_of(name) == 3 else (*FLOATS, "int64")


class Torch:
    """`torch.nn.functional` for NumPy arrays."""

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        self.functional = importlib.import_module("torch.nn.functional")

    def tensor(self, x):
        if isinstance(x, np.ndarray) and x.dtype.name == "bfloat16":
            return self.torch.from_numpy(x.view(np.int16)).view(self.torch.bfloat16)
        return self.torch.from_numpy(x) if isinstance(x, np.ndarray) else x

    def array(self, tensor):
        if tensor.dtype == self.torch.bfloat16:
            return tensor.view(self.torch.int16).numpy().view(dtype_of("bfloat16"))
        return tensor.numpy()

    def __call__(self, name, *arguments, **options):
        result = getattr(self.functional, name)(*map(self.tensor, arguments), **options)
        return tuple(map(self.array, result)) if isinstance(result, tuple) else self.array(result)


class Specification:
    """The same by reference.py and what the docstrings add to it."""

    def __call__(self, name, x, *arguments, **options):
        window, rest = self.window(name, *arguments, **options)
        return getattr(self, name[:-2])(x, window, **rest)

    def window(self, name, *arguments, **options):
        n = axes_of(name)
        given = inspect.signature(getattr(F, name)).bind(None, *arguments, **options)
        given.apply_defaults()
        window, rest = {"axis": tuple(range(-n, 0))}, {}
        for key, value in list(given.arguments.items())[1:]:
            if key in ("return_indices", "count_include_pad", "divisor_override"):
                rest[key] = value
            else:
                window[key] = tuple(value) * n if isinstance(value, tuple) and len(value) == 1 else value
        window["stride"] = window["stride"] or None
        return window, rest

    def max_pool(self, x, window, return_indices):
        y, indices = reference.max_pool(x, **window, return_indices=True)
        if np.isnan(y).any():
            spatial = [x.shape[a] for a in window["axis"]]
            places = np.broadcast_to(np.arange(np.prod(spatial)).reshape(spatial), x.shape)
            last = reference.max_pool(places, **window, where=np.isnan(x), fill_value=-1)
            indices = np.where(np.isnan(y), last, indices)
        return (y, indices) if return_indices else y

    def avg_pool(self, x, window, **options):
        whole = x.dtype.kind == "i"
        y = reference.avg_pool(x.astype(np.float64) if whole else x, **window, **options)
        return np.trunc(y).astype(x.dtype) if whole else y


@pytest.fixture(params=[Specification, Torch], ids=["reference", "torch"])
def oracle(request):
    return request.param()


# (spatial shape, kernel_size, stride, padding, dilation, ceil_mode)
WINDOWS = (
    ((9,), 2, None, 0, 1, False),
    ((9,), (3,), (2,), (1,), (1,), False),
    ((10,), 4, 3, 2, 1, True),
    ((13,), 3, 2, 1, 4, True),
    ((2,), 3, 2, 0, 1, True),
    ((7, 8), 3, 2, 1, 1, False),
    ((7, 8), (3, 2), (), 0, 1, True),
    ((6, 5), (2, 3), (1, 2), (1, 0), (2, 1), False),
    ((9, 7), 4, 4, 2, 1, True),
    ((9, 7), (4,), (4,), (2,), (1,), True),
    ((5, 6, 7), 2, 2, 0, 1, False),
    ((5, 6, 7), 3, 2, 1, 1, True),
    ((4, 6, 5), (2, 3, 1), (1, 2, 3), (1, 0, 0), (1, 2, 1), False),
)
windows = pytest.mark.parametrize("window", WINDOWS, ids=str)
batched = pytest.mark.parametrize("lead", [(2, 3), (3,), (0, 2)], ids=["batch", "no batch", "empty batch"])


@windows
@batched
def test_max(oracle, window, lead):
    spatial, *arguments = window
    name = f"max_pool{len(spatial)}d"
    for dtype in (*FLOATS, *INTEGERS):
        x = ordered((*lead, *spatial), dtype)
        want = oracle(name, x, *arguments, return_indices=True)
        for a, b in zip(getattr(F, name)(x, *arguments, return_indices=True), want, strict=True):
            assert_same(a, b)
        if len(spatial) > 1 or dtype in FLOATS:
            assert_same(getattr(F, name)(x, *arguments), oracle(name, x, *arguments))


EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


@windows
@batched
@pytest.mark.parametrize("include", [True, False])
def test_avg(oracle, window, lead, include):
    spatial, kernel, stride, padding, _, ceil = window
    name = f"avg_pool{len(spatial)}d"
    pool = getattr(F, name)
    arguments = kernel, stride, padding, ceil, include
    shape = *lead, *spatial
    whole = seed(shape).integers(-99, 100, shape)
    assert_same(pool(whole, *arguments), oracle(name, whole, *arguments))
    for dtype, eps in EPS.items():
        if dtype in averaged(name):
            x = finite(shape, dtype)
            bound = 8 * eps * pool(np.abs(x).astype(np.float64), *arguments)
            assert_within(pool(x, *arguments), oracle(name, x, *arguments), bound)


@pytest.mark.parametrize("divisor", [5, 1, -3])
@pytest.mark.parametrize("dtype", ["float64", "int64"])
@pytest.mark.parametrize("spatial", [(7, 8), (4, 5, 6)], ids=str)
def test_divisor_override(oracle, divisor, dtype, spatial):
    x = seed(spatial, dtype).integers(-99, 100, (2, *spatial)).astype(dtype)
    name = f"avg_pool{len(spatial)}d"
    options = {"ceil_mode": True, "divisor_override": divisor}
    if isinstance(oracle, Specification):
        total = reference.sum_pool(x, (3,) * len(spatial), 2, 1, ceil_mode=True)
        want = np.trunc(total / divisor).astype(dtype) if dtype == "int64" else total / divisor
    else:
        want = oracle(name, x, 3, 2, 1, **options)
    got = getattr(F, name)(x, 3, 2, 1, **options)
    (assert_same if dtype == "int64" else np.testing.assert_allclose)(got, want)


def test_sums_of_int64_wrap_around(oracle):
    """The mean of two numbers past 2**62 has another sign, as in PyTorch."""
    x = np.array([[2**62 + 1, 2**62 + 2, -7, 4]])
    want = np.array([[-(2**62) + 2, -1]])
    if isinstance(oracle, Torch):
        assert_same(oracle("avg_pool1d", x, 2), want)
    assert_same(F.avg_pool1d(x, 2), want)


def test_the_last_nan_counts(oracle):
    for n, dtype in itertools.product((1, 2, 3), FLOATS):
        x = np.array([1, np.nan, 2, np.nan, 3, 0]).astype(dtype_of(dtype)).reshape((1,) * n + (6,))
        kernel = (1,) * (n - 1) + (6,)
        for one in (F.__dict__[f"max_pool{n}d"], lambda *a, n=n, **k: oracle(f"max_pool{n}d", *a, **k)):
            y, index = one(x, kernel, return_indices=True)
            assert np.isnan(y).all()
            assert index.item() == 3


# ---------------------------------------------------------------------------------------- lp_pool, max_unpool

NORMS = (1, 2, 3, 2.0, 2.5, -1, -2.0, np.inf, -np.inf)


def norm(x, p, kernel, stride, ceil):
    """PyTorch's definition, in float64 and by the specification."""
    n = x.ndim - 1
    kernel = (kernel,) * n if isinstance(kernel, int) else kernel
    window = {"kernel_size": kernel, "stride": stride or None, "ceil_mode": ceil}
    x = x.astype(np.float64)
    if np.isinf(p):
        return (reference.max_pool if p > 0 else reference.min_pool)(np.abs(x), **window)
    with np.errstate(all="ignore"):
        return (reference.avg_pool(x**p, **window) * np.prod(kernel)) ** (1 / p)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_lp(oracle, p, n):
    """Signs count, and windows that are cut off are scaled up."""
    pool = getattr(F, f"lp_pool{n}d")
    for dtype, (kernel, stride, ceil) in itertools.product(
        (*FLOATS, "int64"), ((2, None, False), (3, 2, True), (2, (), True), (3, 1, False))
    ):
        if (n == 3 and dtype in ("float16", "bfloat16") and np.isfinite(p)) or (dtype == "int64" and p in (-1, 3)):
            continue  # refused; and the mean of integers is cut off, which the definition in float64 is not
        if dtype == "int64" and (p in NORMS[:2] or (n == 1 and np.isinf(p))):
            continue
        x = seed(n, dtype).integers(-4, 5, (2,) + (5,) * n).astype(dtype_of(dtype))
        got = pool(x, p, kernel, stride, ceil)
        if isinstance(oracle, Torch):
            want = oracle(f"lp_pool{n}d", x, p, kernel, stride, ceil)
        else:
            kind = np.float32 if dtype == "int64" and np.isfinite(p) else x.dtype
            want = norm(x, p, kernel, stride, ceil).astype(kind)
        eps = EPS.get(got.dtype.name, 0)
        assert_within(got, want, 50 * eps * np.abs(want.astype(np.float64))) if eps else assert_same(got, want)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_lp_of_some_planes_at_a_time(n, monkeypatch):
    pool = getattr(F, f"lp_pool{n}d")
    for lead, dtype in itertools.product(((3, 5), (7,), (1, 1), (0, 4), (4, 1)), ("float32", "int64")):
        x = seed(n, lead).integers(-9, 10, (*lead, *(6, 5, 4)[-n:])).astype(dtype)
        want = pool(x, 2, 2, 1, True)
        for block in (1, 9, 70, 250):
            with monkeypatch.context() as patch:
                patch.setattr(F, "_BLOCK", block)
                assert_same(pool(x, 2, 2, 1, True), want)


def test_lp_of_integers(oracle):
    """The mean of their powers is cut off, as that of any int64, before it is scaled up."""
    x = np.array([[3, 4, -5, 0, 7, 7]])
    for p, kernel, want in ((2, 2, [24, 24, 98]), (2, 4, [48])):
        want = np.sqrt(np.array([want], np.float32))
        if isinstance(oracle, Torch):
            np.testing.assert_allclose(oracle("lp_pool1d", x, p, kernel), want, rtol=1e-6)
        got = F.lp_pool1d(x, p, kernel)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, want, rtol=1e-6)
    flags = np.array([[True, False, True, True]])
    np.testing.assert_allclose(F.lp_pool1d(flags, 1, 2), [[0, 2]])


def test_lp_refusals(oracle):
    x = ONES[1]
    for p in (0, 0.0, "2", None):
        refused(oracle, "lp_pool1d", x, p, 2, match="norm_type")
    refused(oracle, "lp_pool1d", x.astype(np.int64), -1, 2, match="norm_type.*-1")
    refused(oracle, "lp_pool1d", x, 2, (2,), match=r"kernel_size.*\(2,\)")
    refused(oracle, "lp_pool2d", ONES[2], 2, (2,), match=r"kernel_size.*\(2,\)")
    refused(oracle, "lp_pool3d", ONES[3], 2, (2, 2), match=r"kernel_size.*\(2, 2\)")
    for name, n in zip(LP, (1, 2, 3), strict=True):
        for value in (0, -1, 2.0, None, 7):
            refused(oracle, name, ONES[n], 2, value, match="kernel_size")
        for value in (0, -1, 2.0):
            refused(oracle, name, ONES[n], 2, 2, value, match="stride")
        for value in (None, 1):
            refused(oracle, name, ONES[n], 2, 2, None, value, match="ceil_mode")
        for dtype in ("int8", "int32", "uint8", "uint16", "complex64", *(["float16", "bfloat16"] if n == 3 else [])):
            refused(oracle, name, ONES[n].astype(dtype_of(dtype)), 2, 2, match=f"input.*{dtype}")
        for shape in ((6,) * n, (1, 2, 3) + (6,) * n, (2, 0) + (6,) * n):
            refused(oracle, name, np.ones(shape), 2, 2, match="input")
        for dtype in ("bool", "uint16", "uint32"):
            refused(oracle, name, ONES[n].astype(dtype), np.inf, 2, match=f"input.*{dtype}")


# (spatial shape of the input, kernel_size, stride, padding, output_size)
UNPOOLED = (
    ((4,), 2, None, 0, None),
    ((4,), (3,), 2, (1,), (8,)),
    ((3, 4), 2, None, 0, None),
    ((3, 4), (3, 2), (2, 2), (1, 0), (6, 9)),
    ((3, 4), (3, 2), (2, 2), (1, 0), (7, 8, 4, 7)),
    ((2, 3, 2), 2, 2, 0, None),
    ((2, 3, 2), (2, 3, 2), (2, 2, 1), (0, 1, 1), [5, 6, 1]),
)


def usual_sizes(spatial, kernel, stride, padding):
    n = len(spatial)
    kernel, stride, padding = (np.broadcast_to(v, n) for v in (kernel, kernel if stride is None else stride, padding))
    return ((np.array(spatial) - 1) * stride - 2 * padding + kernel).tolist()


@pytest.mark.parametrize("case", UNPOOLED, ids=str)
@batched
def test_unpool(oracle, case, lead):
    spatial, *arguments = case
    name = f"max_unpool{len(spatial)}d"
    *window, size = arguments
    sizes = usual_sizes(spatial, *window) if size is None else list(size)[-len(spatial) :]
    cells, count = int(np.prod(sizes)), int(np.prod(spatial))
    for dtype in FLOATS:
        x = ordered((*lead, *spatial), dtype)
        planes = [seed(spatial, i).permutation(cells)[:count] for i in range(int(np.prod(lead)))]
        indices = np.reshape(planes, x.shape).astype(np.int64)
        if isinstance(oracle, Torch):
            want = oracle(name, x, indices, *arguments)
        else:
            want = np.zeros((*lead, cells), x.dtype)
            np.put_along_axis(want, indices.reshape(*lead, count), x.reshape(*lead, count), -1)
            want = want.reshape(*lead, *sizes)
        assert_same(getattr(F, name)(x, indices, *arguments), want)


def test_unpool_refusals(oracle):
    for name, n in zip(UNPOOL, (1, 2, 3), strict=True):
        x = ONES[n][..., :3, :3] if n > 1 else ONES[n][..., :3]
        x = x[..., :3, :, :] if n == 3 else x
        z = np.zeros(x.shape, np.int64)
        for value in (6**n, -1, 2**40):
            wrong = z.copy()
            wrong[1, 2, ..., 1] = value
            refused(oracle, name, x, wrong, 2, match=f"indices.*{value}")
        refused(oracle, name, x, z.astype(np.int32), 2, match="indices.*int32")
        refused(oracle, name, x, z[:1], 2, match=r"indices.*\(1, 3")
        for value in (4, 8, 2.5):
            refused(oracle, name, x, z, 2, None, 0, (value,) * n, match=f"output_size.*{value}")
        refused(oracle, name, x, z, 2, None, 0, (7,) * (n + 1), match="output_size")
        refused(oracle, name, x, z, 2, None, 0, 7, match="output_size.*7")
        refused(oracle, name, x[0, 0], z[0, 0], 2, match="input")
        refused(oracle, name, x[:, :0], z[:, :0], 2, match="input")
        for dtype in (*INTEGERS, "bool", "complex64"):
            refused(oracle, name, x.astype(dtype), z, 2, match=f"input.*{dtype}")
        refused(oracle, name, x, z, 2.0, match="kernel_size")
        with pytest.raises(ValueError, match="padding"):
            getattr(F, name)(x, z, 2, None, 3)


# --------------------------------------------------------------------------- adaptive and fractional pools


def last_nan(n, x, y, indices, pool):
    """The indices, those of the last NaN where a window has one."""
    places = np.arange(np.prod(x.shape[-n:])).reshape(x.shape[-n:])
    return np.where(np.isnan(y), pool(np.where(np.isnan(x), places, -1)), indices)


@pytest.mark.parametrize("n", [1, 2, 3])
@batched
def test_adaptive(oracle, n, lead):
    shape = *lead, *(7, 6, 5)[:n]
    axis = tuple(range(-n, 0))
    for dtype, size in itertools.product(FLOATS, (1, 3, 9, (4, 5, 3)[:n], ((None, 2, 3) if n > 1 else (2,))[:n])):
        x = ordered(shape, dtype)
        full = tuple(
            x.shape[a] if o is None else o for a, o in zip(axis, np.broadcast_to(size, n).tolist(), strict=True)
        )
        name = f"adaptive_max_pool{n}d"
        if isinstance(oracle, Torch):
            want = oracle(name, x, size, return_indices=True)
        else:
            pool = partial(reference.adaptive_max_pool, output_size=full, axis=axis)
            y, indices = pool(x, return_indices=True)
            want = y, last_nan(n, x, y, indices, pool)
        got = getattr(F, name)(x, size, return_indices=True)
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
        assert_same_numbers(getattr(F, name)(x, size), want[0])
        x = finite(shape, dtype)
        name = f"adaptive_avg_pool{n}d"
        if isinstance(oracle, Torch):
            # PyTorch adds up bfloat16 in three dimensions as such.
            want = oracle(name, x.astype(np.float64), size).astype(x.dtype) if n == 3 else oracle(name, x, size)
        else:
            want = reference.adaptive_avg_pool(x, full, axis=axis)
        bound = 8 * EPS[dtype] * getattr(F, name)(np.abs(x).astype(np.float64), size)
        assert_within(getattr(F, name)(x, size), want, bound)


@pytest.mark.parametrize("n", [2, 3])
@batched
def test_fractional(oracle, n, lead):
    """In half precision PyTorch's own arithmetic finds other places in three dimensions."""
    shape = *lead, *(7, 6, 5)[:n]
    axis = tuple(range(-n, 0))
    batch = lead[0] if len(lead) == 2 else 1
    name = f"fractional_max_pool{n}d"
    for dtype, (kernel, size) in itertools.product(
        FLOATS if n == 2 else FLOATS[2:], ((2, 3), ((2, 1, 3)[:n], (3, 5, 2)[:n]))
    ):
        x = ordered(shape, dtype)
        samples = seed(shape, dtype).random((batch, lead[-1], n)).astype(x.dtype) / np.array(1.01, x.dtype)
        options = {"return_indices": True, "_random_samples": samples}
        if isinstance(oracle, Torch):
            tensors = options | {"_random_samples": oracle.tensor(samples)}
            want = oracle(name, x, kernel, size, **tensors)
        else:
            mine = (samples if len(lead) == 2 else samples[0]).astype(np.float32 if x.itemsize < 4 else x.dtype)
            mine = mine[..., ::-1] if n == 2 else mine
            pool = partial(
                reference.fractional_max_pool, kernel_size=(kernel,) * n if isinstance(kernel, int) else kernel,
                output_size=size, axis=axis, samples=mine,
            )  # fmt: skip
            y, indices = pool(x, return_indices=True)
            want = y, last_nan(n, x, y, indices, pool)
        for a, b in zip(getattr(F, name)(x, kernel, size, **options), want, strict=True):
            assert_same(a, b)
        got = getattr(F, name)(x, kernel, output_ratio=(0.4,) * n, _random_samples=samples)
        assert got.shape[-n:] == tuple(int(0.4 * m) for m in shape[-n:])


def test_fractional_draws_samples():
    """Afresh for every call, so that the result varies, but never its shape."""
    x = np.arange(3 * 50 * 50.0).reshape(3, 50, 50)
    many = [F.fractional_max_pool2d(x, 2, 30) for _ in range(8)]
    assert {y.shape for y in many} == {(3, 30, 30)}
    assert any((y != many[0]).any() for y in many)


def test_adaptive_refusals(oracle):
    for name in ADAPTIVE:
        n = axes_of(name)
        for value in (-1, 2.0, True, None, "2", (), (2,) * 4, (2.0,) * n, *([(2,)] if n > 1 else [(None,), (2, 2)])):
            refused(oracle, name, ONES[n], value, match="output_size")
        empty = [] if "avg" in name and n < 3 else [(2, 0) + (6,) * n]
        for shape in ((6,) * n, (1, 2, 3) + (6,) * n, (2, 3) + (0,) * n, *empty):
            refused(oracle, name, np.ones(shape, np.float32), 2, match="input")
        for dtype in (*INTEGERS, "bool", "complex64"):
            refused(oracle, name, ONES[n].astype(dtype), 2, match=f"input.*{dtype}")
        assert getattr(F, name)(np.ones((0,) + (6,) * n), 2).shape == (0,) + (2,) * n


def test_fractional_refusals(oracle):
    for name in FRACTIONAL:
        n = axes_of(name)
        samples = np.full((2, 3, n), 0.5, np.float32)
        for value in (9, 2.0, True, (2,), (2,) * 4):
            refused(oracle, name, ONES[n], value, 2, match="kernel_size")
        for value in (6, -1, 4.0, True, (4,), (4,) * 4):
            refused(oracle, name, ONES[n], 2, value, match="output_size")
        for value in ((0.5,), (1.5,) * n):
            refused(oracle, name, ONES[n], 2, None, value, match="output_")
        refused(oracle, name, ONES[n], 2, match="output_size or output_ratio")
        for wrong in (samples[:1], samples[:, :1], samples[..., :1], samples[0], samples.astype(np.float64)):
            given = oracle.tensor(wrong) if isinstance(oracle, Torch) else wrong
            if isinstance(oracle, Torch):
                with pytest.raises(RuntimeError):
                    oracle(name, ONES[n], 2, 3, _random_samples=given)
            with pytest.raises((ValueError, TypeError), match="_random_samples"):
                getattr(F, name)(ONES[n], 2, 3, _random_samples=wrong)
        for shape in ((6,) * n, (1, 2, 3) + (6,) * n, (2, 0) + (6,) * n, (2, 3) + (0,) * n):
            refused(oracle, name, np.ones(shape, np.float32), 2, 3, match="input")
        for dtype in (*INTEGERS, "bool", "complex64"):
            refused(oracle, name, ONES[n].astype(dtype), 2, 3, match=f"input.*{dtype}")


# ------------------------------------------------------------------------------------------------- names


def test_signatures_of_lp_and_unpool():
    torch = Torch()
    for name in (*LP, *UNPOOL):
        want = inspect.signature(getattr(torch.functional, name)).parameters.values()
        got = inspect.signature(getattr(F, name)).parameters.values()
        assert [(p.name, p.default) for p in got] == [(p.name, p.default) for p in want]


@pytest.mark.parametrize("name", NAMES)
def test_signature(name):
    """As PyTorch's documentation has it; its functions are built in, so there is none to ask."""
    n = axes_of(name)
    tail = {
        "max": "dilation=1, ceil_mode=False, return_indices=False",
        "avg": "ceil_mode=False, count_include_pad=True" + (", divisor_override=None" if n > 1 else ""),
    }[name[:3]]
    want = inspect.signature(eval(f"lambda input, kernel_size, stride=None, padding=0, {tail}: 0")).parameters
    got = inspect.signature(getattr(F, name)).parameters
    assert [p.replace(annotation=p.empty) for p in got.values()] == list(want.values())


def test_names():
    assert [*F.__all__] == sorted([*NAMES, *LP, *UNPOOL, *ADAPTIVE, *FRACTIONAL])


# ---------------------------------------------------------------------------------------------- refusals

ONES = {n: np.ones((2, 3) + (6,) * n, np.float32) for n in (1, 2, 3)}
GOOD = {"kernel_size": 3, "stride": 2}

# argument, value, which functions have it, what the message says
WRONG = (
    *(("kernel_size", v, "") for v in (0, -1, 2.0, True, None, "2", (), (2.0,), 7, (2,) * 4, np.array([2]))),
    *(("stride", v, "") for v in (0, -1, 2.0, True, "2", (2,) * 4)),
    *(("padding", v, "") for v in (2, -1, 1.0, True, None, "same", (), (2,), (1,) * 4, ((1, 1),))),
    *(("dilation", v, "max") for v in (0, -1, 2.0, None, "2", (), (1,) * 4)),
    *(("ceil_mode", v, "") for v in (None, 1, "yes")),
    *(("count_include_pad", v, "avg") for v in (None, 1, "yes")),
    *(("divisor_override", v, "avg_pool2d avg_pool3d") for v in (0, 2.5, "2")),
)


def refused(oracle, name, *arguments, match="", **options):
    if isinstance(oracle, Torch):
        with pytest.raises((RuntimeError, TypeError, ValueError, IndexError, ArithmeticError)):
            oracle(name, *arguments, **options)
    with pytest.raises((ValueError, TypeError), match=match):
        getattr(F, name)(*arguments, **options)


@pytest.mark.parametrize(("argument", "value", "where"), WRONG, ids=repr)
def test_wrong_arguments(oracle, argument, value, where):
    for name in NAMES:
        if name in where or name.startswith(where):
            refused(oracle, name, ONES[axes_of(name)], **GOOD | {argument: value}, match=rf"(?s)\b{argument}\b")


def test_too_many_entries(oracle):
    for name in NAMES:
        n = axes_of(name)
        for argument in ("kernel_size", "stride", "padding", *(["dilation"] if name.startswith("max") else [])):
            value = (1,) * (n - 1 if n == 3 else n + 1)
            refused(oracle, name, ONES[n], **GOOD | {argument: value}, match=rf"{argument} .*\(1, 1")


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs(oracle, name):
    n = axes_of(name)
    six = (6,) * n
    for shape in (six, (1, 2, 3, *six), (2, 0, *six), (0, *six), (2, 3, *six[1:], 0)):
        refused(
            oracle,
            name,
            np.ones(shape, np.float32),
            2,
            match=rf"input.*{shape}".replace("(", r"\(").replace(")", r"\)"),
        )
    allowed = averaged(name) if name.startswith("avg") else (*FLOATS, *(INTEGERS if n > 1 else ()))
    for dtype in {*FLOATS, *INTEGERS, *REFUSED}.difference(allowed):
        refused(oracle, name, np.ones((3, *six)).astype(dtype_of(dtype)), 2, match=f"input.*{dtype[:8]}")


def test_integers_with_indices(oracle):
    """max_pool1d takes them only then; bool and the like never."""
    for dtype in REFUSED:
        refused(oracle, "max_pool1d", np.ones((3, 6)).astype(dtype), 2, return_indices=True, match="input")


def test_padding_does_not_enlarge_the_input_of_avg_pool3d(oracle):
    refused(oracle, "avg_pool3d", ONES[3], 7, 1, 1, match="kernel_size.*7")
    assert F.avg_pool2d(ONES[2], 7, 1, 1).shape == (2, 3, 2, 2)


def test_a_window_without_a_cell_is_refused():
    with pytest.raises(ValueError, match="touches no cell"):
        F.max_pool1d(np.ones((1, 2)), 2, 1, 1, 3)


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_torch_allows_is_allowed(name):
    """A sweep over small windows: the same shape, or both refuse."""
    torch = Torch()
    n = axes_of(name)
    dilations = (1, 2, 3) if name.startswith("max") else (1,)
    for size, k, s, p, d, ceil in itertools.product(
        (1, 2, 4), (1, 2, 3, 5), (1, 2, 3), (0, 1, 2), dilations, (True, False)
    ):
        x = seed(size, k, s, p).standard_normal((1,) + (size,) * n)
        options = {"ceil_mode": ceil}
        arguments = (k, s, p, d) if name.startswith("max") else (k, s, p)
        try:
            want = torch(name, x, *arguments, **options)
        except RuntimeError:
            with pytest.raises(ValueError, match=r"\w"):
                getattr(F, name)(x, *arguments, **options)
            continue
        if np.isinf(want).any():
            continue
        got = getattr(F, name)(x, *arguments, **options)
        if name.startswith("max"):
            assert_same_numbers(got, want)
        else:
            np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
