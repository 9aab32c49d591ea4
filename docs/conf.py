"""How Sphinx makes the site of README.md, CHANGELOG.md and docs/ (`bin/docs`).

The source folder is the repository, so that one relative link is right on GitHub and on the site.
"""

from __future__ import annotations

project = "loadgenctl"
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/*.md"]
exclude_patterns = [".*", "build", "controller", "images", "results", "tests"]
html_extra_path = ["site"]
html_theme = "furo"
html_title = "loadgenctl"
html_copy_source = False
html_show_sphinx = False
# The headings have the anchors that GitHub gives them.
myst_heading_anchors = 4
myst_enable_extensions: list[str] = []
# Pages begin with a title and go down level by level, but nothing depends on it.
suppress_warnings = ["myst.header"]
# Code blocks without a language are output and commands: no colors.
highlight_language = "none"
