project = "cypool"
copyright = "cypool developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "sphinx_gallery.gen_gallery"]
html_theme = "pydata_sphinx_theme"
html_theme_options = {"navbar_align": "left", "show_toc_level": 2, "secondary_sidebar_items": ["page-toc"]}
html_title = "cypool"
html_show_sourcelink = False
exclude_patterns = ["_build", "images/README.md", "performance/peers.md", "gallery/README.rst", "gallery/*.py"]
numpydoc_show_class_members = False
autosummary_generate = True
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "min_reported_time": 1e9,
    "show_memory": False,
    "download_all_examples": False,
    "matplotlib_animations": False,
}
