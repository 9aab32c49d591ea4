"""Copy Debian's Python and git, with all libraries that they need, to the given folder.

The copies also run on an older Debian: each program names the copied loader and searches its `lib`
first, also for libraries of modules that it loads later. No variables are set, because other
programs would inherit them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON = "python3.11"
UNUSED = ("__pycache__", "ensurepip", "idlelib", "pydoc_data", "test", "tkinter", "turtledemo")
"""Parts of Python's library that none of our programs imports."""
SYSTEM = (
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
)
"""Libraries that a module from a wheel may need. The interpreter loads them first: those of another
Debian do not match the copied C library.
"""
_FOUND = re.compile(r"(?:=>\s+)?(/\S+)\s+\(0x")
_ELF = b"\x7fELF"


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Debian."""
    return subprocess.run(argv, check=False, capture_output=True, text=True)  # noqa: S603


def output(*argv: str) -> str:
    """The output of a command, which must succeed."""
    done = run(*argv)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr or done.stdout}")
    return done.stdout


def copy_python(prefix: Path) -> None:
    """Copy the interpreter and its library, in the layout in which it finds them."""
    home = prefix / "python"
    (home / "bin").mkdir(parents=True)
    shutil.copy2(f"/usr/bin/{PYTHON}", home / "bin" / PYTHON)
    shutil.copytree(
        f"/usr/lib/{PYTHON}", home / "lib" / PYTHON, ignore=shutil.ignore_patterns(*UNUSED)
    )


def copy_git(prefix: Path) -> None:
    """Copy git and its commands, which refer to it as `../../bin/git`, with an empty template for
    repositories.
    """
    home = prefix / "git"
    (home / "bin").mkdir(parents=True)
    (home / "share" / "templates").mkdir(parents=True)
    shutil.copy2("/usr/bin/git", home / "bin" / "git")
    shutil.copytree("/usr/lib/git-core", home / "lib" / "git-core", symlinks=True)


def copy_init(prefix: Path) -> None:
    """Copy the init process, which needs no library."""
    (prefix / "bin").mkdir(parents=True)
    shutil.copy2("/usr/bin/tini-static", prefix / "bin" / "tini")


def elf_files(folder: Path) -> list[Path]:
    """Programs and libraries below a folder, without links."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                if stream.read(4) == _ELF:
                    found.append(path)
    return found


def copy_libraries(files: list[Path], into: Path) -> None:
    """All libraries that the files need, directly or indirectly, and the loader."""
    into.mkdir()
    wanted = {
        line.split()[-1]
        for line in output("/sbin/ldconfig", "-p").splitlines()
        if line.endswith(SYSTEM)
    }
    for path in files:
        listed = output("ldd", str(path))
        if "not found" in listed:
            raise SystemExit(f"{path} lacks a library:\n{listed}")
        wanted.update(_FOUND.findall(listed))
    for library in sorted(wanted):
        shutil.copy2(library, into / Path(library).name)


def interpreter(path: Path) -> str | None:
    """The loader that a program names; None for a library or a static program."""
    done = run("patchelf", "--print-interpreter", str(path))
    return done.stdout.strip() if done.returncode == 0 else None


def point(path: Path, libraries: Path) -> None:
    """Make a program use the copied loader and libraries, and check that it finds no others."""
    named = interpreter(path)
    if named is None:
        return
    if path.name == PYTHON:
        for name in SYSTEM:
            output("patchelf", "--add-needed", name, str(path))
    loader = libraries / Path(named).name
    output("patchelf", "--set-interpreter", str(loader), str(path))
    # The older kind of search path (RPATH), which also applies to the program's libraries.
    output("patchelf", "--force-rpath", "--set-rpath", str(libraries), str(path))
    for used in _FOUND.findall(output(str(loader), "--list", str(path))):
        if not used.startswith(f"{libraries}/"):
            raise SystemExit(f"{path} would still use {used}")


def main() -> None:
    """Fill the given folder."""
    prefix = Path(sys.argv[1])
    copy_python(prefix)
    copy_git(prefix)
    files = elf_files(prefix)
    copy_libraries(files, prefix / "lib")
    for path in files:
        point(path, prefix / "lib")
    copy_init(prefix)


if __name__ == "__main__":
    main()
