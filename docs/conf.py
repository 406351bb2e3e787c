project = "cypool"
copyright = "cypool developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
html_theme = "pydata_sphinx_theme"
exclude_patterns = ["_build", "images/README.md", "performance/peers.md"]
numpydoc_show_class_members = False
