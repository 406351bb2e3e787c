"""The scripts of the documentation: what its tables say is what runs, and what is to be learned is learned."""

import importlib
import re
import sys

import pytest
from test_readme import ROOT

DOCS = ROOT / "docs"
sys.path.append(str(DOCS))
edges, page_tables, parameters = map(importlib.import_module, ("edges", "page_tables", "parameters"))


def cells(text):
    """A Markdown table as lists of cells, without the line under its header."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [rows[0], *rows[2:]]


def shown(page, name):
    """The table of this name in a page."""
    found = page_tables.place(name).findall(page.read_text(encoding="utf-8"))
    assert len(found) == 1, f"{page.name} has {len(found)} places for {name}"
    return cells(found[0][1])


@pytest.mark.parametrize(("module", "others"), [(parameters, set()), (edges, {"versions"})])
def test_a_page_has_a_place_for_every_table(module, others):
    assert set(page_tables.MARK.findall(module.PAGE.read_text(encoding="utf-8"))) == {*module.TABLES, *others, "end"}


@pytest.mark.parametrize("name", parameters.TABLES)
def test_parameters(name):
    pytest.importorskip("ml_dtypes")
    assert shown(parameters.PAGE, name) == parameters.TABLES[name](), (
        "if this is meant: python docs/parameters.py --write"
    )


@pytest.mark.parametrize("library", edges.LIBRARIES)
def test_edges(library):
    if library not in edges.installed():
        pytest.skip(f"{library} is not installed")
    for name, asked in edges.TABLES.items():
        header, *rows = shown(edges.PAGE, name)
        assert header[1:] == list(edges.LIBRARIES)
        column = header.index(library)
        now = {label: edges.ask(library, *rest) for label, *rest in asked}
        assert {row[0]: row[column] for row in rows} == now, "if it has changed: python docs/edges.py --write"


def test_libraries_that_are_missing_leave_their_columns_out(monkeypatch):
    monkeypatch.setattr(edges, "installed", lambda: ["cypool"])
    header, *rows = edges.table("padding")
    assert header == ["", "cypool"]
    assert [len(row) for row in rows] == [2] * len(rows)
    assert edges.versions() == "None of the other libraries is installed."
    assert cells(page_tables.markdown([header, *rows])) == [header, *rows]


def test_write(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    monkeypatch.setattr(sys, "argv", ["edges.py", "--write"])
    page.write_text("one\n<!-- a -->\n<!-- end -->\n<!-- b -->\nold\n<!-- end -->\n")
    page_tables.main(page, lambda: {"a": "1", "b": "2"})
    want = "one\n<!-- a -->\n1\n<!-- end -->\n<!-- b -->\n2\n<!-- end -->\n"
    assert page.read_text() == want
    assert capsys.readouterr().out == "a\n\n1\n\nb\n\n2\n\n"
    with pytest.raises(SystemExit, match="cannot be imported: torch"):
        page_tables.main(page, dict, {"torch"})
    with pytest.raises(SystemExit, match="0 places for c"):
        page_tables.main(page, lambda: {"c": "3"})
    monkeypatch.setattr(sys, "argv", ["edges.py"])
    page_tables.main(page, lambda: {"a": "4"}, {"torch"})
    assert page.read_text() == want


def test_digits_are_read():
    pytest.importorskip("sklearn")
    digits = importlib.import_module("digits")
    said = []
    assert digits.train(said.append) >= digits.GOAL
    assert len(said) == 4
    assert f"{digits.GOAL:.0%}".replace("%", " %") in (DOCS / "digits.md").read_text(encoding="utf-8")


def test_its_pages_are_all_in_the_index():
    pages = [page for page in DOCS.glob("*.md") if page.stem != "index"]
    listed = []
    for page in (DOCS / "index.md", *pages):
        for tree in re.findall(r"^```{toctree}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            listed += [line for line in tree.split("\n") if line and not line.startswith(":")]
    assert sorted(listed) == sorted(["auto_gallery/index", "reference/index", *(page.stem for page in pages)])
