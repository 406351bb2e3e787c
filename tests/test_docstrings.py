"""The examples in the docstrings of the Python modules do what they show."""

import doctest
import importlib
import pkgutil

import pytest

import cypool

MODULES = ["cypool", *(f"cypool.{found.name}" for found in pkgutil.iter_modules(cypool.__path__) if not found.ispkg)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    said = []
    runner = doctest.DocTestRunner(verbose=False)
    for test in doctest.DocTestFinder().find(module, name):
        runner.run(test, out=said.append)
    assert "".join(said) == ""
