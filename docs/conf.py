"""The documentation: ``pip install '.[docs]' && sphinx-build -W docs docs/_build``."""

from __future__ import annotations

import re
from pathlib import Path

project = "fastrnn"
author = "the authors of fastrnn"
copyright = author
release = re.search(r'^version = "(.+)"', (Path(__file__).parents[1] / "pyproject.toml").read_text(), re.M)[1]

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "tutorials/*", "decisions/README.md"]
html_theme = "furo"
html_title = f"fastrnn {release}"

autosummary_generate = True
autodoc_typehints = "none"  # the docstrings say it with shapes
autodoc_mock_imports = ["keras", "mpi4py"]
numpydoc_show_class_members = False

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
# Pages are read on a code host as well, where links to sources work.
suppress_warnings = ["myst.xref_missing", "config.cache"]

sphinx_gallery_conf = {
    "examples_dirs": "tutorials",
    "gallery_dirs": "auto_tutorials",
    "filename_pattern": "/",
    "download_all_examples": False,
    "show_signature": False,
    "abort_on_example_error": True,
    "min_reported_time": 1e9,
}
