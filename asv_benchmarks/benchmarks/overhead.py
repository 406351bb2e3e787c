"""What a call costs before any cell is pooled, and what `import cypool` costs."""

from pathlib import Path

import numpy as np

import cypool

X = np.random.default_rng(0).standard_normal((1, 8, 8, 8), dtype="float32")
OUT = np.zeros((1, 8, 4, 4), "float32")


class Tiny:
    """Calls on 1x8x8x8, as their users write them."""

    sample_time = 0.02

    def time_pool(self) -> None:
        cypool.max_pool(X, 2, axis=(2, 3))

    def time_padded(self) -> None:
        cypool.max_pool(X, 3, 2, 1, axis=(2, 3))

    def time_out(self) -> None:
        cypool.max_pool(X, 2, axis=(2, 3), out=OUT)

    def time_indices(self) -> None:
        cypool.max_pool(X, 2, axis=(2, 3), return_indices=True)

    def time_output_shape(self) -> None:
        cypool.output_shape(X.shape, 2, axis=(2, 3))

    def time_num_threads(self) -> None:
        cypool.get_num_threads()


class Shapes:
    """Calls whose plan is in no cache: a new shape each time."""

    number = 1
    repeat = 200
    warmup_time = 0

    def setup(self) -> None:
        Shapes.turn = getattr(Shapes, "turn", 0) + 1
        self.x = np.zeros((2, 8 + Shapes.turn), "float32")

    def time_new_shape(self) -> None:
        cypool.max_pool(self.x, 2)


def timeraw_import_cypool() -> str:
    return "import cypool"


def timeraw_import_numpy() -> str:
    """What of it is NumPy's."""
    return "import numpy"


def track_installed_size() -> int:
    root = Path(cypool.__file__).parent
    return sum(f.stat().st_size for f in root.rglob("*") if f.suffix in (".so", ".pyd", ".py", ".pyi", ".pxd"))


track_installed_size.unit = "bytes"  # type: ignore[attr-defined]
