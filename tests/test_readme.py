"""Every example in the README and the documentation does what it shows."""

import doctest
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cypool.__main__ import main

ROOT = Path(__file__).parent.parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWING = [page for page in PAGES if ">>>" in page.read_text(encoding="utf-8")]


def blocks(page, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: page.name)
def test_python(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = blocks(page, "python")
    assert found
    test = doctest.DocTestParser().get_doctest("\n".join(found), {}, page.name, str(page), 0)
    said = []
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert "".join(said) == ""


def test_commands_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "docs/images/sample.png", "photo.png")
    np.save("volume.npy", np.zeros((9, 10, 11), np.uint16))
    commands = [line for block in blocks(PAGES[0], "sh") for line in block.splitlines() if line.startswith("cypool ")]
    assert len(commands) == 3
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
    out, err = capsys.readouterr()
    assert "(300, 451, 3) uint8 -> smaller.png (150, 226, 3) uint8" in out
    assert "(9, 10, 11) uint16 -> pooled.npy (5, 5, 6) uint16" in out
    assert err == ""


def test_its_images_are_what_their_commands_make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "docs/images/sample.png", ".")
    script = (ROOT / "docs/images/make.sh").read_text(encoding="utf-8")
    commands = [shlex.split(line) for line in script.splitlines() if line.startswith("cypool ")]
    assert len(commands) == 3
    for _, *words in commands:
        assert main(words) == 0
        name = words[2]
        with Image.open(name) as made, Image.open(ROOT / "docs/images" / name) as shown:
            np.testing.assert_array_equal(np.asarray(made), np.asarray(shown), err_msg=name)


def test_its_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\((?!https:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
