"""Fixtures that every test module shares."""

import hypothesis
import pytest
from cases import LEVELS

from cypool import calls, dispatch, gradients, window_calls

hypothesis.settings.register_profile("same every time", derandomize=True, deadline=None, max_examples=300)
hypothesis.settings.load_profile("same every time")


@pytest.fixture(params=LEVELS)
def level(request, monkeypatch):
    """Run the public functions on each instruction-set level to test; the name of the level."""
    monkeypatch.setattr(dispatch, "kernels", dispatch.load(request.param))
    return request.param


@pytest.fixture
def eager_threads(monkeypatch):
    """Let the smallest call use all its threads; a call is planned once, so plans from before are forgotten."""
    calls.pool.forget()
    calls.prepare.cache_clear()
    gradients._prepare.cache_clear()
    window_calls._prepare.cache_clear()
    monkeypatch.setattr(calls, "SERIAL", 0)
    yield
    calls.pool.forget()
    calls.prepare.cache_clear()
    gradients._prepare.cache_clear()
    window_calls._prepare.cache_clear()
