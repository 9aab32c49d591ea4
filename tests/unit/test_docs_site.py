"""The check of the built site: what would be loaded from another host."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.site import other_hosts


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script defer src="https://cdn.example/x.js"></script>'),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/css">'),
        ("a.html", "<img alt='' src=http://img.example/x.png>"),
        ("a.css", "@font-face { src: url(https://fonts.example/x.woff2) }"),
        ("a.css", '@import "https://fonts.example/css";'),
    ],
)
def test_what_a_page_loads_from_another_host_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert len(list(other_hosts(tmp_path))) == 1


def test_links_to_other_hosts_and_own_files_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">there</a><script src="../_static/x.js"></script>'
        '<link rel="stylesheet" href="_static/x.css">'
    )
    (tmp_path / "a.css").write_text("body { background: url(data:image/png;base64,AA) }")
    assert list(other_hosts(tmp_path)) == []
