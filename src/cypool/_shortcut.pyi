from collections.abc import Callable
from typing import Any

class Shortcut:
    def __init__(self, at_length: Callable[..., Any], atoms: frozenset[type]) -> None: ...
    def __call__(
        self,
        op: int,
        x: Any,
        window: tuple[Any, ...],
        options: tuple[Any, ...],
        missing: tuple[Any, ...],
        out: Any,
        num_threads: int | None,
    ) -> Any: ...
    def remember(
        self, op: int, x: Any, window: tuple[Any, ...], options: tuple[Any, ...], call: tuple[Any, ...]
    ) -> None: ...
    def forget(self) -> None: ...
    def __len__(self) -> int: ...
