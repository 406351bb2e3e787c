from inspect import ismodule
from pathlib import Path

import cypool
from cypool import plot

project = "cypool"
copyright = "cypool developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_gallery.gen_gallery"]
html_theme = "pydata_sphinx_theme"
html_title = "cypool"
html_show_sourcelink = False
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["cypool.css"]
html_theme_options = {"navbar_align": "left", "secondary_sidebar_items": ["page-toc"]}
exclude_patterns = ["_build", "images/README.md", "performance/peers.md", "gallery"]
numpydoc_show_class_members = False
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "download_all_examples": False,
    "show_signature": False,
    "capture_repr": (),
    "min_reported_time": 60,
    "within_subsection_order": "FileNameSortKey",
}

FAMILIES = {
    "Pools": lambda name: name in ("max_pool", "min_pool", "avg_pool", "sum_pool"),
    "Adaptive, global, fractional and spatial pyramid pools": lambda name: (
        name.startswith(("adaptive_", "global_", "fractional_", "spatial_")) and not name.endswith("_grad")
    ),
    "Norms, and pools that weigh": lambda name: "_pool" in name and not name.endswith(("_grad", "_take")),
    "Gradients": lambda name: name.endswith(("_grad", "_take")) and "unpool" not in name,
    "Unpooling": lambda name: "unpool" in name,
    "Shapes, threads, and what runs": lambda name: True,
}
"""The first family whose rule holds has a public name."""


def family(name):
    return next(title for title, holds in FAMILIES.items() if holds(name))


def reference():
    """The page of all public functions, and with it a page for each."""
    functions = [name for name in cypool.__all__ if not ismodule(getattr(cypool, name))]
    parts = {title: ("cypool", [name for name in functions if family(name) == title]) for title in FAMILIES}
    parts["cypool.functional"] = "cypool.functional", cypool.functional.__all__
    parts["cypool.plot"] = "cypool.plot", plot.__all__
    lines = ["API reference", "=" * 13, ""]
    for title, (module, names) in parts.items():
        lines += [title, "-" * len(title), ""]
        if module == title:
            lines += [f".. automodule:: {module}", "   :no-members:", ""]
        lines += [f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree:", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names] + [""]
    return "\n".join(lines)


# Autosummary looks for pages before any event that could make this one.
page = Path(__file__).parent / "reference" / "index.rst"
page.parent.mkdir(exist_ok=True)
page.write_text(reference(), encoding="utf-8")
