"""`python -m tests.docs.site`: builds the site of the docs into build/site, and checks it.

Fails on any warning of Sphinx (a link or an anchor that leads nowhere, a page in no group), and
on a page that would load something from another host.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SITE: Final = ROOT / "build" / "site"
_LOADED: Final = re.compile(
    r"""<(?:script|link|img|iframe|source|video|audio|object)\b[^>]*?(?:src|href|data)=["']?"""
    r"""((?:https?:)?//[^"'\s>]+)|url\(["']?((?:https?:)?//[^)"']+)|@import\s+["']([^"']+)""",
    re.IGNORECASE,
)


def build() -> int:
    """Sphinx's exit code; an earlier build is not reused, because its warnings are not repeated."""
    # The tests of this module run where Sphinx is not installed, too.
    from sphinx.cmd.build import build_main

    options = ["-E", "-W", "--keep-going", "-q", "-c", str(ROOT / "docs")]
    return build_main([*options, "-d", str(ROOT / "build" / "doctrees"), str(ROOT), str(SITE)])


def other_hosts(folder: Path) -> Iterator[str]:
    """What the pages and styles of a site load from elsewhere: the file and the address."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in {".html", ".css"}:
            for found in _LOADED.finditer(file.read_text("utf-8")):
                address = next(filter(None, found.groups()))
                yield f"{file.relative_to(folder)} loads {address}"


def main() -> int:
    """Build and check; the exit code."""
    status = build()
    if status:
        return status
    found = list(other_hosts(SITE))
    for line in found:
        sys.stdout.write(f"{line}\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
