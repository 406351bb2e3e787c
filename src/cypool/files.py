"""Arrays in and out of files: `.npy` mapped into memory, images through Pillow and tifffile."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap

Array = np.ndarray[Any, Any]

SUFFIXES = (".npy", ".png", ".jpg", ".jpeg", ".tif", ".tiff")

# What Pillow writes without changing a number: dtype and channels, 0 if there is no channel axis.
PILLOW_HOLDS = {
    "PNG": {("uint8", 0), ("uint8", 2), ("uint8", 3), ("uint8", 4), ("uint16", 0), ("bool", 0)},
    "JPEG": {("uint8", 0), ("uint8", 3)},
}
IN_WORDS = {
    "PNG": "uint8 (grey, grey and alpha, RGB, RGBA), uint16 (grey) and bool",
    "JPEG": "uint8 (grey, RGB)",
    "TIFF": "two axes or more, none of size 0",
}

# Only these store numbers that can be pooled one by one; CMYK, CIELAB or a sensor's raw mosaic do not.
POOLABLE_TIFF = ("MINISWHITE", "MINISBLACK", "RGB", "PALETTE")

TIFF_ORIENTATION, TIFF_PROFILE = 274, 34675


class Refused(Exception):
    """What the user asked for cannot be done; the message says why in one line."""


class Picture(NamedTuple):
    """An array and what its file says of it: a letter per axis (Y, X, S for samples), a colour profile."""

    array: Array
    axes: str = ""
    profile: bytes | None = None


def kind(path: Path) -> str:
    """Return "NPY", "PNG", "JPEG" or "TIFF", by the suffix."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise Refused(f"{path}: unknown kind of file {suffix!r}, known are {', '.join(SUFFIXES)}")
    return {".jpg": "JPEG", ".tif": "TIFF"}.get(suffix, suffix[1:].upper())


def read(path: Path) -> Picture:
    """Read an image, or map a `.npy` file into memory."""
    reader = {"NPY": _read_npy, "TIFF": _read_tiff}.get(kind(path), _read_pillow)
    try:
        with path.open("rb"):  # so that a missing file is told in the same words by every reader
            return reader(path)
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror or error}") from error
    except MemoryError as error:
        raise Refused(f"cannot read {path}: not enough memory") from error
    except Exception as error:  # broken files make decoders raise anything, from IndexError to zlib.error
        raise Refused(f"cannot read {path}: {error}") from error


def check_holds(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse an array that this kind of file could hold only by changing its numbers."""
    name = kind(path)
    if name == "NPY":
        return
    held = len(shape) >= 2 and 0 not in shape
    if name in PILLOW_HOLDS:
        channels = shape[2] if len(shape) == 3 else 0
        held = held and len(shape) <= 3 and (str(dtype), channels) in PILLOW_HOLDS[name]
    if not held:
        raise Refused(
            f"{path}: {name} holds {IN_WORDS[name]}, not {dtype} of shape {shape}; "
            "another --dtype (avg and sum only), .tif or .npy may do"
        )


@contextmanager
def replacing(path: Path) -> Iterator[str]:
    """Yield the name of a new file beside `path`, which takes its place in the end, or vanishes on an error."""
    target = os.path.realpath(path)
    part = os.path.join(os.path.dirname(target), f".cypool-{secrets.token_hex(8)}.part")
    try:
        if os.path.isdir(target):
            raise Refused(f"cannot write {path}: Is a directory")
        with open(part, "xb"):
            pass
        yield part
        os.replace(part, target)
    except OSError as error:
        raise Refused(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            os.unlink(part)


def create_npy(part: str, shape: tuple[int, ...], dtype: np.dtype[Any], fortran: bool) -> Array:
    """Return a new `.npy` file mapped into memory."""
    y: Array = open_memmap(part, "w+", dtype=dtype, shape=shape, fortran_order=fortran)
    if hasattr(os, "posix_fallocate"):  # a mapped file that meets a full disk kills the process
        with open(part, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, os.path.getsize(part))
    return y


def write_image(part: str, path: Path, picture: Picture) -> None:
    """Write an image in the format that the suffix of `path` names into the file `part`."""
    try:
        if kind(path) == "TIFF":
            _write_tiff(part, picture)
        else:
            image = _extra("PIL.Image").fromarray(picture.array)
            image.save(part, kind(path), icc_profile=picture.profile, quality=95)
    except OSError:
        raise
    except Exception as error:  # encoders have limits of their own, on size above all
        raise Refused(f"cannot write {path}: {error}") from error


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise Refused(
            f"images need {module.partition('.')[0]}, which is not installed: pip install cypool[cli]"
        ) from error


def _read_npy(path: Path) -> Picture:
    return Picture(open_memmap(path, "r"))


def _read_pillow(path: Path) -> Picture:
    """Read a PNG or JPEG upright, as viewers show it."""
    pil = _extra("PIL.Image")
    pil.MAX_IMAGE_PIXELS = None  # a limit for servers; here the user named the file
    with pil.open(path, formats=("PNG", "JPEG")) as image:
        bits = str(image.tile[0].args) if image.tile else ""
        if image.mode != "I;16" and bits.endswith("16B"):
            raise Refused("Pillow would cut its 16-bit colours to 8 bits, convert it to TIFF first")
        if image.format == "PNG" and getattr(image, "n_frames", 1) > 1:
            raise Refused(f"it is an animation of {image.n_frames} pictures")
        profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
        upright = _extra("PIL.ImageOps").exif_transpose(image)
        # Palettes, single bits and inks are not brightnesses: make them so.
        mode = {"1": "L", "P": "RGB", "PA": "RGB", "CMYK": "RGB"}.get(upright.mode, upright.mode)
        if upright.has_transparency_data and mode in ("L", "RGB"):
            mode += "A"
        array = np.asarray(upright if mode == upright.mode else upright.convert(mode))
    return Picture(array, "YXS"[: array.ndim], profile)


class _Complaints(logging.Handler):
    """Raise what tifffile logs as an error: it goes on with the pages it could find."""

    def emit(self, record: logging.LogRecord) -> None:
        raise Refused(record.getMessage())


def _read_tiff(path: Path) -> Picture:
    """Read the one image or stack of a TIFF file, upright."""
    tifffile = _extra("tifffile")
    logger = logging.getLogger("tifffile")
    logger.propagate = False
    complaints = _Complaints(logging.ERROR)
    logger.addHandler(complaints)
    try:
        with tifffile.TiffFile(path) as tiff:
            found = [series for series in tiff.series if not series.keyframe.is_reduced]
            if len(found) != 1:
                raise Refused(f"it holds {len(found)} images of different kinds")
            page, axes, x = found[0].keyframe, found[0].axes, found[0].asarray()
            orientation = getattr(page.tags.get(TIFF_ORIENTATION), "value", 1)
            profile = getattr(page.tags.get(TIFF_PROFILE), "value", None)
            palette = page.colormap
    finally:
        logger.removeHandler(complaints)
    if page.photometric.name not in POOLABLE_TIFF:
        raise Refused(f"its colours are {page.photometric.name}, convert it to RGB first")
    if page.photometric.name == "PALETTE":
        x, axes = np.moveaxis((palette >> 8).astype(np.uint8)[:, x], 0, -1), axes + "S"
    if page.photometric.name == "MINISWHITE":
        x = np.invert(x)
    if x.dtype == bool:
        x = x * np.uint8(255)
    if "S" in axes:
        x, axes = np.moveaxis(x, axes.index("S"), -1), axes.replace("S", "") + "S"
    return Picture(_upright(x, axes, orientation), axes, profile)


def _upright(x: Array, axes: str, orientation: int) -> Array:
    """Return `x` turned as the TIFF tag asks: 5 to 8 swap rows and columns, then either may run backwards."""
    if orientation == 1 or "Y" not in axes or "X" not in axes:
        return x
    rows, columns = axes.index("Y"), axes.index("X")
    if orientation >= 5:
        x = x.swapaxes(rows, columns)
    backwards = (columns,) * (orientation in (2, 3, 6, 7)) + (rows,) * (orientation in (3, 4, 7, 8))
    turned: Array = np.flip(x, backwards)
    return turned


def _write_tiff(part: str, picture: Picture) -> None:
    y, axes, profile = picture
    sampled = axes.endswith("S")
    _extra("tifffile").imwrite(
        part,
        y,
        photometric="rgb" if sampled and y.shape[-1] in (3, 4) else "minisblack",
        planarconfig="contig" if sampled else None,
        metadata={"axes": axes} if axes else {},
        iccprofile=profile,
    )
