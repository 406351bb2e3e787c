"""The command line: ``cypool pool`` pools an image or a ``.npy`` file, ``cypool info`` says what runs here."""

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import cypool
from cypool import files
from cypool.geometry import Window, pooled_shape, windows
from cypool.slabs import Slab, slabs

POOLS: dict[str, Callable[..., Any]] = {
    "max": cypool.max_pool,
    "min": cypool.min_pool,
    "avg": cypool.avg_pool,
    "sum": cypool.sum_pool,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    arguments = _parser().parse_args(_with_values(sys.argv[1:] if argv is None else argv))
    try:
        arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    except (files.Refused, OverflowError, MemoryError) as error:
        line = " ".join(str(error).split()) or "not enough memory"
        print(f"cypool: error: {line}", file=sys.stderr)
        return 2
    return 0


def info(arguments: argparse.Namespace) -> None:
    """Print what this process runs."""
    cypool.show_config()


def pool(arguments: argparse.Namespace) -> None:
    """Pool one file into another, slab by slab, and print one line about it."""
    source, target = arguments.source, arguments.target
    to_image = files.kind(target) != "NPY"
    x, axes, profile = files.read(source)
    if x.ndim == 0:
        raise files.Refused(f"{source} holds a single number, which has no axis to pool")
    options = _options(arguments, x.dtype, to_image)
    function = POOLS[arguments.op]
    try:
        found = windows(
            x.shape,
            arguments.kernel_size,
            arguments.stride,
            arguments.padding,
            arguments.dilation,
            _default_axis(axes) if arguments.axis is None else arguments.axis,
            arguments.ceil_mode,
        )
        # One cell of the same type asks the library what it makes of the dtype and the options.
        dtype = function(np.ones((1,) * x.ndim, x.dtype), 1, **options).dtype
    except (ValueError, TypeError) as error:
        raise files.Refused(str(error)) from error

    shape = pooled_shape(x.shape, found)
    grey = to_image and axes.endswith("S") and shape[-1] == 1  # all channels became one
    files.check_holds(target, shape[:-1] if grey else shape, dtype)
    with files.replacing(target) as part:
        y = np.empty(shape, dtype) if to_image else files.create_npy(part, shape, dtype, fortran=x.flags.fnc)
        seconds = _pool_slabs(function, x, y, found, arguments.ceil_mode, options)
        if to_image:
            picture = files.Picture(y[..., 0], axes[:-1]) if grey else files.Picture(y, axes, profile)
            files.write_image(part, target, picture)
    speed = (x.nbytes + y.nbytes) / max(seconds, 1e-9) / 1e9
    line = (
        f"{source} {x.shape} {x.dtype} -> {target} {y.shape} {y.dtype}: "
        f"{arguments.op} in {seconds * 1e3:.4g} ms, {speed:.3g} GB/s"
    )
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding))  # the name of a file may be no text


def _pool_slabs(
    function: Callable[..., Any],
    x: files.Array,
    y: files.Array,
    found: Sequence[Window],
    ceil_mode: bool,
    options: dict[str, Any],
) -> float:
    """Fill `y` with the pool of `x`; return the seconds spent pooling."""
    axis, _, kernel_size, stride, dilation, *_ = zip(*found, strict=True)
    seconds = 0.0
    for slab in _progress(slabs(x, found, y.itemsize)):
        start = perf_counter()
        function(
            x[slab.source],
            kernel_size,
            stride,
            slab.padding,
            dilation,
            axis=axis,
            ceil_mode=ceil_mode,
            out=y[slab.target],
            **options,
        )
        seconds += perf_counter() - start
    return seconds


def _progress(pieces: list[Slab]) -> Iterable[Slab]:
    """Show a bar on a terminal, where there is more than one slab; `.npy` files need no tqdm otherwise."""
    if len(pieces) > 1 and sys.stderr.isatty() and find_spec("tqdm"):
        bar: Iterable[Slab] = import_module("tqdm").tqdm(pieces, unit="slab", leave=False)
        return bar
    return pieces


def _options(arguments: argparse.Namespace, dtype: np.dtype[Any], to_image: bool) -> dict[str, Any]:
    """Return the keyword arguments that are the same for every slab."""
    options: dict[str, Any] = {"num_threads": arguments.threads}
    if arguments.op in ("max", "min"):
        if arguments.dtype is not None:
            raise files.Refused(f"--dtype goes with avg and sum, {arguments.op} keeps the dtype of its input")
        return options
    options["dtype"] = arguments.dtype
    if arguments.op == "avg":
        if to_image and arguments.dtype is None and dtype.kind in "iu":
            options["dtype"] = dtype  # the exact mean, rounded: a PNG stays a PNG
        # Said aloud, because each slab gets its padding in numbers.
        options["count_include_pad"] = not isinstance(arguments.padding, str)
    return options


def _default_axis(axes: str) -> tuple[int, int] | None:
    """Return the rows and columns of an image; None, the library's own default, if there are none."""
    return (axes.index("Y"), axes.index("X")) if "Y" in axes and "X" in axes else None


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> Any:
        self.exit(2, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="cypool", description="Pool images and arrays.")
    parser.add_argument("--version", action="version", version=f"cypool {cypool.__version__}")
    commands = parser.add_subparsers(metavar="pool|info", required=True)
    parse = commands.add_parser(
        "pool",
        help="pool a file",
        description="Pool a PNG, JPEG, TIFF or .npy file into another. Images are pooled over their rows and "
        "columns, .npy files over every axis, or as --axis says. A .npy file may be larger than memory.",
    )
    parse.add_argument("source", metavar="IN", type=Path)
    parse.add_argument("target", metavar="OUT", type=Path, help="the suffix says the format; may be IN itself")
    parse.add_argument("--op", choices=POOLS, required=True)
    parse.add_argument("--kernel-size", type=_numbers, required=True, metavar="N[,N...]", help="cells per window")
    parse.add_argument("--stride", type=_numbers, metavar="N[,N...]", help="default: the kernel size")
    parse.add_argument(
        "--padding",
        type=_padding,
        default=0,
        metavar="N[,N...]",
        help="cells on both sides, or LOW:HIGH per axis, or same, same_lower, valid (default: 0)",
    )
    parse.add_argument("--dilation", type=_numbers, default=1, metavar="N[,N...]", help="default: 1")
    parse.add_argument("--ceil-mode", action="store_true", help="pool the cells left over at the end as well")
    parse.add_argument("--axis", type=_numbers, metavar="N[,N...]", help="the axes to pool")
    parse.add_argument("--dtype", type=_dtype, help="dtype of an avg or sum; integers wrap in a sum")
    parse.add_argument("--threads", type=int, metavar="N", help="default: the CPUs this process may use")
    parse.set_defaults(run=pool)
    commands.add_parser("info", help="say what runs here").set_defaults(run=info)
    return parser


def _with_values(argv: Sequence[str]) -> list[str]:
    """Join ``--axis -2,-1`` to ``--axis=-2,-1``, which argparse would take for a flag."""
    result: list[str] = []
    for word in argv:
        if re.match(r"-\d", word) and result and re.fullmatch(r"--[a-z-]+", result[-1]):
            result[-1] += "=" + word
        else:
            result.append(word)
    return result


def _numbers(text: str) -> int | tuple[int, ...]:
    """Read ``2`` as an int and ``2,3`` as a tuple."""
    try:
        return tuple(map(int, text.split(","))) if "," in text else int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer or integers with commas between") from None


def _padding(text: str) -> Any:
    """Read a word, or numbers of which ``1:2`` is a (low, high) pair."""
    if text in ("same", "same_lower", "valid"):
        return text
    if ":" not in text:
        return _numbers(text)
    try:
        return tuple(tuple(map(int, part.split(":"))) if ":" in part else int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not made of LOW:HIGH pairs with commas between") from None


def _dtype(text: str) -> np.dtype[Any]:
    try:
        return np.dtype(text)
    except (TypeError, ValueError, SyntaxError):
        raise argparse.ArgumentTypeError(f"unknown dtype {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
