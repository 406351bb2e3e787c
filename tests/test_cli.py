"""The command line: files in, files out, and one line on standard error for everything else."""

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cases
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

import cypool
from cypool import __main__ as cli
from cypool import files, slabs
from cypool.geometry import Window, windows

OPS = {"max": cypool.max_pool, "min": cypool.min_pool, "avg": cypool.avg_pool, "sum": cypool.sum_pool}


@pytest.fixture
def cypool_(capsys, monkeypatch, tmp_path):
    """Run a command in an empty folder; give its exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        try:
            status = cli.main(list(map(str, words)))
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    return run


def words(case):
    """The window of a case as words of the command line."""

    def text(value):
        if isinstance(value, tuple):
            return ",".join(":".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in value)
        return str(value)

    window = case.window
    ceil = ["--ceil-mode"] * window.pop("ceil_mode")
    given = {name: value for name, value in window.items() if value is not None}
    if isinstance(case.kernel_size, tuple) and len(case.kernel_size) == 1:  # "3" pools every axis, (3,) the last
        given |= {"kernel_size": case.kernel_size[0], "axis": -1 if case.axis is None else case.axis}
    return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", text(value))] + ceil


# ------------------------------------------------------------------------------------------ slabs


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.id)
def test_slab_by_slab_is_the_same_as_at_once(case, order, cypool_, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_BYTES", 1)
    monkeypatch.setattr(slabs, "RUN_BYTES", 1)
    x = np.asarray(cases.finite(case.shape, "int16"), order=order)
    np.save("x.npy", x)
    for op, function in OPS.items():
        status, _, err = cypool_("pool", "x.npy", "y.npy", "--op", op, *words(case))
        assert (status, err) == (0, "")
        y = np.load("y.npy")
        expected = function(x, **case.window)
        np.testing.assert_array_equal(y, expected, strict=True)
        assert y.flags.f_contiguous or not x.flags.fnc


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize(
    ("shape", "kernel_size", "stride"),
    [
        ((400, 300, 50), 3, 1),
        ((2, 3000, 1000), (2, 5), (2, 1)),
        ((1, 6_000_000), (1, 2), (1, 2)),
        ((60, 100, 1000), 20, 1),
    ],
)
def test_slabs_are_of_the_asked_size_and_cover_every_window_once(shape, kernel_size, stride, order, monkeypatch):
    monkeypatch.setattr(slabs, "SLAB_BYTES", 2**21)
    monkeypatch.setattr(slabs, "RUN_BYTES", 2**12)
    x = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), shape, np.empty(shape, np.uint8, order).strides)
    found = windows(shape, kernel_size, stride)
    filled = np.zeros(cypool.output_shape(shape, kernel_size, stride), np.uint8)
    cut = slabs.slabs(x, found, 1)
    for slab in cut:
        filled[slab.target] += 1
    assert (filled == 1).all()
    largest = max(x[slab.source].nbytes + filled[slab.target].nbytes for slab in cut)
    assert 2**19 < largest <= 2**21


def test_slabs_keep_their_runs_long():
    x = np.broadcast_to(np.uint8(0), (1_000_000, 1000))
    x = np.lib.stride_tricks.as_strided(x, strides=(1000, 1))
    assert len(slabs.slabs(x, [Window(0, 1_000_000, 1_000_000, 1, 1, 0, 0, 1)], 8)) == 1


def test_a_slab_past_the_end_keeps_overhang_out_of_the_padding():
    [window] = windows((9,), 4, 4, 1, 1, None, True)
    assert [slab.padding for slab in slabs.slabs(np.zeros(9), [window], 8)] == [[(1, 1)]]


def test_one_slab_on_one_core_or_many_slabs_give_the_same_floats(cypool_, monkeypatch):
    x = cases.finite((40, 30), "float32")
    np.save("x.npy", x)
    monkeypatch.setattr(slabs, "SLAB_BYTES", 1000)
    monkeypatch.setattr(slabs, "RUN_BYTES", 1)
    for op, function in OPS.items():
        window = {"kernel_size": (5, 4), "stride": (1, 2), "padding": ((2, 1), (0, 1)), "ceil_mode": True}
        command = ["pool", "x.npy", "y.npy", "--op", op, "--kernel-size", "5,4", "--stride", "1,2"]
        assert cypool_(*command, "--padding", "2:1,0:1", "--ceil-mode", "--threads", 2)[0] == 0
        np.testing.assert_array_equal(np.load("y.npy"), function(x, **window), strict=True)


# ------------------------------------------------------------------------------------------ arrays


# The .npy format has no name for bfloat16.
@pytest.mark.parametrize("dtype", [d for d in (*cases.WHOLE, *cases.FLOATS) if d != "bfloat16"])
def test_npy_follows_the_library_in_dtypes(dtype, cypool_):
    x = cases.finite((6, 7), dtype)
    np.save("x.npy", x)
    for op, function in OPS.items():
        assert cypool_("pool", "x.npy", "y.npy", "--op", op, "--kernel-size", 2)[0] == 0
        np.testing.assert_array_equal(np.load("y.npy"), function(x, 2), strict=True)
    assert cypool_("pool", "x.npy", "y.npy", "--op", "avg", "--kernel-size", 2, "--dtype", "float64")[0] == 0
    np.testing.assert_array_equal(np.load("y.npy"), cypool.avg_pool(x, 2, dtype=np.float64), strict=True)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0, 4)])
def test_npy_with_nothing_in_it(shape, cypool_):
    np.save("x.npy", np.zeros(shape))
    status, out, err = cypool_(
        "pool", "x.npy", "y.npy", "--op", "max", "--kernel-size", 2, "--axis", -1 if shape[-1] else 0
    )
    assert (status, err) == (0, "")
    assert "0 GB/s" in out
    assert np.load("y.npy").size == 0


def test_npy_of_the_other_byte_order(cypool_):
    x = np.arange(12, dtype=">i4")
    np.save("x.npy", x)
    assert cypool_("pool", "x.npy", "y.npy", "--op", "max", "--kernel-size", 3)[0] == 0
    np.testing.assert_array_equal(np.load("y.npy"), [2, 5, 8, 11])


def test_out_may_be_in(cypool_):
    np.save("x.npy", np.arange(12))
    for expected in [1, 3, 5, 7, 9, 11], [3, 7, 11]:
        assert cypool_("pool", "x.npy", "x.npy", "--op", "max", "--kernel-size", 2)[0] == 0
        np.testing.assert_array_equal(np.load("x.npy"), expected)
    os.symlink("x.npy", "link.npy")
    assert cypool_("pool", "link.npy", "link.npy", "--op", "max", "--kernel-size", 3)[0] == 0
    assert os.path.islink("link.npy")
    np.testing.assert_array_equal(np.load("x.npy"), [11])
    assert sorted(os.listdir()) == ["link.npy", "x.npy"]


# ------------------------------------------------------------------------------------------ images


def picture(*shape, dtype=np.uint8):
    return cases.finite(shape, dtype)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
def test_an_image_is_pooled_over_rows_and_columns(shape, suffix, cypool_):
    x = picture(*shape)
    Image.fromarray(x).save("x.png")
    for op, function in OPS.items():
        dtype = {"dtype": np.uint8} if op in ("avg", "sum") else {}
        words = ["--dtype", "uint8"] if op == "sum" else []
        status, out, err = cypool_("pool", "x.png", f"y.{suffix}", "--op", op, "--kernel-size", "3,2", *words)
        assert (status, err) == (0, "")
        y = files.read(Path(f"y.{suffix}")).array
        np.testing.assert_array_equal(y, function(x, (3, 2), axis=(0, 1), **dtype), strict=True)
        assert out.startswith(f"x.png {shape} uint8 -> y.{suffix} {y.shape} uint8: {op} in ")
        assert out.count("\n") == 1


def test_sixteen_bit_grey_stays_so(cypool_):
    x = picture(9, 7, dtype=np.uint16)
    Image.fromarray(x).save("x.png")
    tifffile.imwrite("x.tif", x)
    for name in "x.png", "x.tif":
        for out in "y.png", "y.tif":
            assert cypool_("pool", name, out, "--op", "avg", "--kernel-size", 2)[0] == 0
            y = files.read(Path(out)).array
            np.testing.assert_array_equal(y, cypool.avg_pool(x, 2, dtype=np.uint16), strict=True)


@pytest.mark.parametrize(
    ("mode", "becomes"), [("1", "L"), ("P", "RGB"), ("PA", "RGBA"), ("LA", "LA"), ("RGBA", "RGBA"), ("L", "L")]
)
def test_modes_of_png(mode, becomes, cypool_):
    image = (
        Image.fromarray(picture(8, 8, 3))
        .convert("L" if mode == "1" else "RGB")
        .convert(mode if mode != "PA" else "RGBA")
    )
    if mode == "PA":
        image = image.quantize(16)
    image.save("x.png")
    expected = np.asarray(image.convert(becomes))
    assert cypool_("pool", "x.png", "y.png", "--op", "min", "--kernel-size", 2)[0] == 0
    with Image.open("y.png") as y:
        assert y.mode == becomes
        np.testing.assert_array_equal(np.asarray(y), cypool.min_pool(expected, 2, axis=(0, 1)))


@pytest.mark.parametrize(("mode", "key", "becomes"), [("L", 7, "LA"), ("RGB", (1, 2, 3), "RGBA"), ("P", 0, "RGBA")])
def test_a_transparent_colour_of_png_becomes_alpha(mode, key, becomes, cypool_):
    x = np.full((4, 4) if mode != "RGB" else (4, 4, 3), key, np.uint8)
    x[:2] = 9
    image = Image.fromarray(x)
    if mode == "P":
        image.putpalette([c for i in range(16) for c in (i, i, i)])
    image.save("x.png", transparency=key)
    assert cypool_("pool", "x.png", "y.png", "--op", "max", "--kernel-size", 2)[0] == 0
    with Image.open("y.png") as y:
        assert y.mode == becomes
        np.testing.assert_array_equal(np.asarray(y)[..., -1], [[255, 255], [0, 0]])


@pytest.mark.parametrize(("mode", "shape"), [("L", (4, 3)), ("RGB", (4, 3, 3)), ("CMYK", (4, 3, 3))])
def test_jpeg(mode, shape, cypool_):
    Image.new(mode, (6, 8), 128 if mode == "L" else "teal").save("x.jpg")
    assert cypool_("pool", "x.jpg", "y.jpeg", "--op", "avg", "--kernel-size", 2)[0] == 0
    with Image.open("y.jpeg") as y, Image.open("x.jpg") as x:
        expected = np.asarray(x.convert("RGB") if mode == "CMYK" else x)[:4, :3]
        assert np.asarray(y).shape == shape
        assert np.abs(np.asarray(y).astype(int) - expected).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_come_out_upright(orientation, cypool_):
    image = Image.fromarray(picture(6, 10, 3))
    exif = Image.Exif()
    exif[files.TIFF_ORIENTATION] = orientation
    image.save("x.png", exif=exif)
    tag = (files.TIFF_ORIENTATION, "H", 1, orientation)
    tifffile.imwrite("x.tif", np.asarray(image), photometric="rgb", extratags=[tag])
    with Image.open("x.png") as stored:
        expected = cypool.max_pool(np.asarray(ImageOps.exif_transpose(stored)), (2, 3), axis=(0, 1))
    for name in "x.png", "x.tif":
        assert cypool_("pool", name, "y.png", "--op", "max", "--kernel-size", "2,3")[0] == 0
        with Image.open("y.png") as y:
            np.testing.assert_array_equal(np.asarray(y), expected)
            assert not y.getexif()


def test_a_colour_profile_goes_with_its_image(cypool_):
    profile = b"a profile of colours"
    Image.fromarray(picture(4, 4, 3)).save("x.png", icc_profile=profile)
    for source, target in ("x.png", "y.tif"), ("y.tif", "z.png"), ("x.png", "z.jpg"), ("z.jpg", "z.png"):
        assert cypool_("pool", source, target, "--op", "max", "--kernel-size", 1)[0] == 0
        assert files.read(Path(target)).profile == profile


def test_pooling_over_the_channels_gives_a_grey_image(cypool_):
    x = picture(4, 5, 3)
    Image.fromarray(x).save("x.png")
    for name in "y.png", "y.tif":
        assert cypool_("pool", "x.png", name, "--op", "max", "--kernel-size", 3, "--axis", -1)[0] == 0
        np.testing.assert_array_equal(files.read(Path(name)).array, x.max(axis=2), strict=True)


@pytest.mark.parametrize(
    ("axes", "shape", "dtype"),
    [
        ("YX", (6, 8), "float32"),
        ("YX", (6, 8), "int64"),
        ("ZYX", (3, 6, 8), "uint16"),
        ("TZCYX", (2, 3, 2, 6, 8), "uint8"),
        ("YXZ", (6, 8, 2), "float64"),
        ("ZYXS", (2, 6, 8, 3), "uint8"),
        ("YXS", (6, 8, 4), "uint16"),
    ],
)
def test_tiff_stacks_keep_their_axes(axes, shape, dtype, cypool_):
    x = picture(*shape, dtype=dtype)
    tifffile.imwrite("x.tif", x, photometric="rgb" if "S" in axes else "minisblack", metadata={"axes": axes})
    assert cypool_("pool", "x.tif", "y.tif", "--op", "max", "--kernel-size", 2)[0] == 0
    with tifffile.TiffFile("y.tif") as y:
        assert y.series[0].axes == axes
        expected = cypool.max_pool(x, 2, axis=(axes.index("Y"), axes.index("X")))
        np.testing.assert_array_equal(y.series[0].asarray(), expected, strict=True)


def test_tiff_kinds_of_colour(cypool_):
    x = picture(3, 6, 8)
    grey = picture(6, 8)
    colours = np.arange(3 * 256, dtype=np.uint16).reshape(3, 256) * 85
    given = {
        "planar.tif": ((x, {"photometric": "rgb", "planarconfig": "separate"}), np.moveaxis(x, 0, -1)),
        "inverse.tif": ((grey, {"photometric": "miniswhite"}), 255 - grey),
        "bits.tif": ((grey > 100, {"photometric": "minisblack"}), np.where(grey > 100, 255, 0)),
        "palette.tif": (
            (grey, {"photometric": "palette", "colormap": colours}),
            np.moveaxis(colours[:, grey] >> 8, 0, -1),
        ),
    }
    for name, ((written, options), expected) in given.items():
        tifffile.imwrite(name, written, **options)
        assert cypool_("pool", name, "y.tif", "--op", "min", "--kernel-size", 2)[0] == 0
        y = cypool.min_pool(expected.astype(np.uint8), 2, axis=(0, 1))
        np.testing.assert_array_equal(files.read(Path("y.tif")).array, y, strict=True, err_msg=name)


def test_arrays_and_images_turn_into_each_other(cypool_):
    x = picture(6, 8, 3)
    np.save("x.npy", x)
    assert cypool_("pool", "x.npy", "y.png", "--op", "avg", "--kernel-size", 2, "--axis", "0,1")[0] == 0
    assert cypool_("pool", "y.png", "z.npy", "--op", "avg", "--kernel-size", 1)[0] == 0
    z = np.load("z.npy")
    assert z.dtype == np.float64
    np.testing.assert_array_equal(z, cypool.avg_pool(x, 2, axis=(0, 1), dtype=np.uint8))


# ------------------------------------------------------------------------------------------ errors


def broken(name, keep):
    data = Path(name).read_bytes()
    Path(f"broken-{name}").write_bytes(data[: int(len(data) * keep)])


@pytest.fixture
def inputs(cypool_):
    """A folder of files, good and bad; gives the command."""
    grey, colour = picture(40, 30), picture(40, 30, 3)
    Image.fromarray(grey).save("grey.png")
    Image.fromarray(colour).save("colour.png")
    Image.fromarray(colour).save("colour.jpg")
    Image.fromarray(colour).convert("RGBA").save("alpha.png")
    Image.fromarray(colour).save("animated.png", save_all=True, append_images=[Image.fromarray(255 - colour)])
    Image.fromarray(colour).convert("LAB").save("lab.tif")
    Image.fromarray(colour).convert("CMYK").save("cmyk.tif")
    Image.fromarray(colour).save("lzw.tif", compression="tiff_lzw")
    tifffile.imwrite("x.tif", colour, photometric="rgb")
    tifffile.imwrite("stack.tif", picture(5, 100, 120), photometric="minisblack", compression="zlib")
    with tifffile.TiffWriter("two.tif") as two:
        two.write(grey)
        two.write(colour, photometric="rgb")
    for name in "colour.png", "colour.jpg", "x.tif", "stack.tif":
        broken(name, 0.5)
    np.save("line.npy", np.arange(1000))
    np.save("float.npy", np.ones((4, 4)))
    broken("line.npy", 0.5)
    np.save("number.npy", np.float64(3))
    np.save("objects.npy", np.array([None, 1], object), allow_pickle=True)
    np.save("text.npy", np.array(["a", "b"]))
    for suffix in "npy", "png", "jpg", "tif":
        Path(f"empty.{suffix}").touch()
        Path(f"junk.{suffix}").write_text("no image and no array, but a longer text than any header would be" * 20)
        Path(f"folder.{suffix}").mkdir()
    return cypool_


K2 = ("--op", "max", "--kernel-size", "2")

ERRORS = [
    # what is read
    (("nowhere.png", "y.png", *K2), "cannot read nowhere.png: No such file or directory"),
    (("nowhere.npy", "y.npy", *K2), "cannot read nowhere.npy: No such file or directory"),
    (("nowhere.tif", "y.tif", *K2), "cannot read nowhere.tif: No such file or directory"),
    (("line.npy/x.npy", "y.npy", *K2), "cannot read line.npy/x.npy: Not a directory"),
    *(((f"folder.{s}", f"y.{s}", *K2), f"cannot read folder.{s}: Is a directory") for s in ("npy", "png", "tif")),
    *(((f"empty.{s}", f"y.{s}", *K2), f"cannot read empty.{s}: ") for s in ("npy", "png", "jpg", "tif")),
    *(((f"junk.{s}", f"y.{s}", *K2), f"cannot read junk.{s}: ") for s in ("npy", "png", "jpg", "tif")),
    (("broken-colour.png", "y.png", *K2), "cannot read broken-colour.png: image file is truncated"),
    (("broken-colour.jpg", "y.png", *K2), "cannot read broken-colour.jpg: image file is truncated"),
    (("broken-x.tif", "y.tif", *K2), "cannot read broken-x.tif: failed to read"),
    (("broken-stack.tif", "y.tif", *K2), "cannot read broken-stack.tif: <tifffile.TiffPages"),
    (("broken-line.npy", "y.npy", *K2), "cannot read broken-line.npy: mmap length is greater than file size"),
    (("animated.png", "y.png", *K2), "cannot read animated.png: it is an animation of 2 pictures"),
    (("two.tif", "y.tif", *K2), "cannot read two.tif: it holds 2 images of different kinds"),
    (("lab.tif", "y.tif", *K2), "cannot read lab.tif: its colours are CIELAB, convert it to RGB first"),
    (("cmyk.tif", "y.tif", *K2), "cannot read cmyk.tif: its colours are SEPARATED, convert it to RGB first"),
    (("lzw.tif", "y.tif", *K2), "cannot read lzw.tif: <COMPRESSION.LZW: 5> requires the 'imagecodecs' package"),
    (("objects.npy", "y.npy", *K2), "cannot read objects.npy: Array can't be memory-mapped: Python objects in dtype."),
    (("text.npy", "y.npy", *K2), "<U1"),
    (("number.npy", "y.npy", *K2), "number.npy holds a single number, which has no axis to pool"),
    (("x.gif", "y.png", *K2), "x.gif: unknown kind of file '.gif', known are .npy, .png, .jpg, .jpeg, .tif, .tiff"),
    # what is written
    (("grey.png", "y", *K2), "y: unknown kind of file '', known are"),
    (("grey.png", "y.npz", *K2), "y.npz: unknown kind of file '.npz'"),
    (("grey.png", "nowhere/y.png", *K2), "cannot write nowhere/y.png: No such file or directory"),
    (("grey.png", "line.npy/y.png", *K2), "cannot write line.npy/y.png: Not a directory"),
    (("grey.png", "folder.png", *K2), "cannot write folder.png: Is a directory"),
    (("line.npy", "folder.npy", *K2), "cannot write folder.npy: Is a directory"),
    (("grey.png", "/proc/y.png", *K2), "cannot write /proc/y.png: "),
    (("float.npy", "y.png", *K2), "not float64 of shape (2, 2); another --dtype (avg and sum only), .tif or .npy may do"),
    (("float.npy", "z.png", *K2), "z.png: PNG holds uint8 (grey, grey and alpha, RGB, RGBA), uint16 (grey) and bool, "),
    (("alpha.png", "y.jpg", *K2), "y.jpg: JPEG holds uint8 (grey, RGB), not uint8 of shape (20, 15, 4)"),
    (("line.npy", "y.tif", *K2), "y.tif: TIFF holds two axes or more, none of size 0, not int64 of shape (500,)"),
    (("grey.png", "y.png", "--op", "sum", "--kernel-size", "2"), "not uint64 of shape (20, 15); another --dtype"),
    # how it is pooled
    (("grey.png", "y.png", *K2, "--dtype", "uint8"), "--dtype goes with avg and sum, max keeps the dtype"),
    (("grey.png", "y.png", *K2[:3], "0"), "kernel_size must be at least 1, got 0"),
    (("grey.png", "y.png", *K2[:3], "-2"), "kernel_size must be at least 1, got -2"),
    (("grey.png", "y.png", *K2[:3], "-2,-3"), "kernel_size must be at least 1, got -2"),
    (("grey.png", "y.png", *K2[:3], "2,2,2"), "kernel_size must have one entry per pooled axis (2)"),
    (("grey.png", "y.png", *K2[:3], "1000"), "axis 0 of size 40 has no window"),
    (("grey.png", "y.png", *K2, "--stride", "-1"), "stride must be at least 1, got -1"),
    (("grey.png", "y.png", *K2, "--padding", "-1"), "padding must be at least 0, got -1"),
    (("grey.png", "y.png", *K2, "--padding", "-1:2,0"), "padding must be at least 0, got -1"),
    (("grey.png", "y.png", *K2, "--padding", "1:2:3,0"), "padding must have (low, high) pairs"),
    (("grey.png", "y.png", *K2, "--padding", "9"), "window 0 of axis 0 touches no cell"),
    (("grey.png", "y.png", *K2, "--dilation", "-1"), "dilation must be at least 1, got -1"),
    (("grey.png", "y.png", *K2, "--axis", "0,0"), "axis must name each axis once"),
    (("grey.png", "y.png", *K2, "--axis", "-3"), "axis -3 is out of range for an array of 2 axes"),
    (("grey.png", "y.png", *K2, "--threads", "0"), "num_threads must be a positive integer, got 0"),
    (("grey.png", "y.png", *K2, "--threads", "-1"), "num_threads must be a positive integer, got -1"),
    (("grey.png", "y.png", *K2, "--dilation", str(2**70)), "windows of axis 0 reach further than 2**62 cells"),
    # what argparse sees
    (("grey.png",), "the following arguments are required: OUT, --op, --kernel-size"),
    (("grey.png", "y.png", *K2[:2]), "the following arguments are required: --kernel-size"),
    (("grey.png", "y.png", *K2[2:]), "the following arguments are required: --op"),
    (("grey.png", "y.png", *K2, "--op", "median"), "argument --op: invalid choice: 'median'"),
    (("grey.png", "y.png", *K2[:3], "2.5"), "argument --kernel-size: '2.5' is not an integer or integers"),
    (("grey.png", "y.png", *K2[:3], "2,"), "argument --kernel-size: '2,' is not an integer or integers"),
    (("grey.png", "y.png", *K2[:3], ""), "argument --kernel-size: '' is not an integer or integers"),
    (("grey.png", "y.png", *K2, "--padding", "most"), "argument --padding: 'most' is not an integer or integers"),
    (("grey.png", "y.png", *K2, "--padding", "1:x"), "argument --padding: '1:x' is not made of LOW:HIGH pairs"),
    (("grey.png", "y.png", *K2, "--dtype", "colour"), "argument --dtype: unknown dtype 'colour'"),
    (("grey.png", "y.png", *K2, "--threads", "many"), "argument --threads: invalid int value: 'many'"),
    (("grey.png", "y.png", *K2, "--frobnicate"), "unrecognized arguments: --frobnicate"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), ERRORS, ids=lambda v: " ".join(v) if isinstance(v, tuple) else "")
def test_bad_input_is_one_line_and_leaves_no_file(words, said, inputs):
    before = sorted(os.listdir())
    status, out, err = inputs("pool", *words)
    assert said in err
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(("cypool: error: ", "cypool pool: error: "))
    assert sorted(os.listdir()) == before


def test_sixteen_bit_colours_of_png_are_refused(cypool_):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(4 * (1 + 4 * 6)))  # Pillow writes no such file
    Path("x.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    status, _, err = cypool_("pool", "x.png", "y.png", *K2)
    assert (status, "16-bit colours" in err) == (2, True)


@pytest.mark.parametrize("words", [(), ("pull",), ("info", "now")])
def test_bad_commands_are_one_line(words, cypool_):
    status, out, err = cypool_(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(("module", "name"), [("PIL", "x.png"), ("tifffile", "x.tif")])
def test_a_missing_extra_is_named(module, name, cypool_, monkeypatch):
    tifffile.imwrite("x.tif", picture(4, 4))
    Image.fromarray(picture(4, 4)).save("x.png")
    for loaded in [m for m in sys.modules if m.split(".")[0] == module]:
        monkeypatch.setitem(sys.modules, loaded, None)
    status, _, err = cypool_("pool", name, "y.npy", *K2)
    assert status == 2
    assert err == (
        f"cypool: error: cannot read {name}: images need {module}, which is not installed: pip install cypool[cli]\n"
    )


def test_a_failing_pool_leaves_the_old_file(cypool_, monkeypatch):
    np.save("x.npy", np.arange(4))
    for error, status, said in (
        (KeyboardInterrupt, 130, ""),
        (MemoryError, 2, "cypool: error: not enough memory\n"),
        (OverflowError("too\nmuch"), 2, "cypool: error: too much\n"),
    ):

        def fail(x, *window, out=None, error=error, **options):
            if out is not None:
                raise error
            return x

        monkeypatch.setitem(cli.POOLS, "max", fail)
        assert cypool_("pool", "x.npy", "x.npy", *K2) == (status, "", said)
        np.testing.assert_array_equal(np.load("x.npy"), np.arange(4))
        assert os.listdir() == ["x.npy"]


# ------------------------------------------------------------------------------------------ processes


def python(*words, **options):
    """Run Python in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120, **options)


def test_info_says_what_runs():
    done = python("-m", "cypool", "info")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{cypool.__version__}\n" in done.stdout


def test_version_and_help():
    assert python("-m", "cypool", "--version").stdout == f"cypool {cypool.__version__}\n"
    assert "--kernel-size" in python("-m", "cypool", "pool", "--help").stdout


def test_the_readme_image_in_a_process(tmp_path):
    sample = Path(__file__).parent.parent / "docs/images/sample.png"
    done = python("-m", "cypool", "pool", sample, tmp_path / "y.png", "--op", "avg", "--kernel-size", 2, "--ceil-mode")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"\(300, 451, 3\) uint8 -> .*y.png \(150, 226, 3\) uint8: avg in \S+ ms, \S+ GB/s\n$", done.stdout)


def test_an_array_file_needs_numpy_only(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    code = (
        "import sys; sys.modules.update(PIL=None, tifffile=None, tqdm=None); from cypool.__main__ import main;"
        "sys.exit(main(['pool', 'x.npy', 'y.npy', '--op', 'max', '--kernel-size', '2']))"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [1, 3])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_file_whose_name_is_no_text(cypool_):
    source, target = os.fsdecode(b"\xff.npy"), os.fsdecode(b"\xfe.npy")
    np.save(source, np.arange(4))
    status, out, err = cypool_("pool", source, target, *K2)
    assert (status, err) == (0, "")
    assert out.startswith(r"\udcff.npy (4,) int64 -> \udcfe.npy (2,) int64: max")


def test_ctrl_c_ends_a_long_run_quietly(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(4))
    code = (
        "import os, signal, sys; from cypool import __main__ as cli\n"
        # What starts the tests may have Ctrl-C ignored, as a shell does for jobs in the background.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "pool = cli.POOLS['max']\n"
        "def interrupted(*words, out=None, **options):\n"
        "    if out is not None: os.kill(os.getpid(), signal.SIGINT)\n"
        "    return pool(*words, out=out, **options)\n"
        "cli.POOLS['max'] = interrupted\n"
        "sys.exit(cli.main(['pool', 'x.npy', 'y.npy', '--op', 'max', '--kernel-size', '2']))\n"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert os.listdir(tmp_path) == ["x.npy"]


def test_a_full_disk_is_one_line(tmp_path):
    pytest.importorskip("resource")
    np.save(tmp_path / "x.npy", np.zeros((1000, 1000)))
    code = (
        "import resource, sys; from cypool.__main__ import main; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000,) * 2);"
        "sys.exit(main(['pool', 'x.npy', 'y.npy', '--op', 'max', '--kernel-size', '2']))"
    )
    done = python("-c", code, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cypool: error: cannot write y.npy: File too large\n"
    assert os.listdir(tmp_path) == ["x.npy"]


def test_the_bar_is_for_terminals(cypool_, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    np.save("x.npy", np.zeros((100, 100)))
    monkeypatch.setattr(slabs, "SLAB_BYTES", 10_000)
    monkeypatch.setattr(slabs, "RUN_BYTES", 1)
    assert cypool_("pool", "x.npy", "y.npy", *K2)[::2] == (0, "")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert cypool_("pool", "x.npy", "y.npy", *K2)[0] == 0
    assert "slab" in sys.stderr.getvalue()
