"""Contexts and their hashes, and what apt's own settings say; nothing here needs an engine."""

from __future__ import annotations

import dataclasses
import tarfile
from pathlib import Path

import pytest

from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import BuildError
from loadgenctl.images.debootstrap import default_mirror, find_mirror, find_proxies, renamed
from loadgenctl.images.image_build import DOCKERFILE, BuildContext, ContextFile, make_context
from loadgenctl.sdks.base import ImageRecipe

BASE = "loadgenctl/base:bullseye"


@pytest.fixture
def recipe(tmp_path: Path) -> ImageRecipe:
    template = tmp_path / "Dockerfile.j2"
    template.write_text(
        "FROM {{ base }}\nRUN echo {{ word }}{% if apt_mirror %} mirrored{% endif %}\n"
    )
    file = tmp_path / "file"
    file.write_text("content")
    return ImageRecipe("name", "bullseye", template, {"word": "hello"}, {"inside": file})


def digest(recipe: ImageRecipe, site: SiteSettings | None = None, base: str = BASE) -> str:
    return make_context(recipe, base, site or SiteSettings()).digest


def test_the_dockerfile_is_rendered_with_base_values_and_site(recipe: ImageRecipe) -> None:
    site = SiteSettings(apt_mirror="http://mirror.example.test/debian")
    context = make_context(recipe, BASE, site)
    expected = f"FROM {BASE}\nRUN echo hello mirrored\n"
    assert context.files[DOCKERFILE].content.decode() == expected


def test_the_hash_is_the_same_for_the_same_content(recipe: ImageRecipe, tmp_path: Path) -> None:
    elsewhere = tmp_path / "copy"
    elsewhere.write_text("content")
    moved = dataclasses.replace(recipe, files={"inside": elsewhere})
    assert digest(recipe) == digest(moved)
    assert len(digest(recipe)) == 16


def test_every_part_of_the_content_counts(recipe: ImageRecipe, tmp_path: Path) -> None:
    before = digest(recipe)
    bundle = tmp_path / "ca.pem"
    bundle.write_text("a certificate")
    others = [
        digest(dataclasses.replace(recipe, values={"word": "other"})),
        digest(dataclasses.replace(recipe, files={"renamed": recipe.files["inside"]})),
        digest(recipe, base="another:base"),
        digest(recipe, SiteSettings(ca_bundle=bundle)),
    ]
    recipe.files["inside"].chmod(0o755)
    others.append(digest(recipe))
    recipe.files["inside"].write_text("changed")
    others.append(digest(recipe))
    assert before not in others
    assert len(set(others)) == len(others)


def test_settings_that_no_template_uses_do_not_count(recipe: ImageRecipe) -> None:
    assert digest(recipe) == digest(recipe, SiteSettings(name="x", http_proxy="http://p.test:1"))


def test_the_tar_is_the_same_every_time(recipe: ImageRecipe) -> None:
    context = make_context(recipe, BASE, SiteSettings())
    assert context.tar().read() == context.tar().read()
    with tarfile.open(fileobj=context.tar()) as archive:
        assert sorted(archive.getnames()) == ["Dockerfile", "inside"]
        assert archive.getmember("inside").mtime == 0


def test_executables_stay_executable() -> None:
    context = BuildContext({"run": ContextFile(b"#!/bin/sh\n", executable=True)})
    with tarfile.open(fileobj=context.tar()) as archive:
        assert archive.getmember("run").mode == 0o755


def test_faults_of_a_recipe_are_build_errors(recipe: ImageRecipe, tmp_path: Path) -> None:
    recipe.template.write_text("FROM {{ bse }}\n")
    with pytest.raises(BuildError, match="'bse' is undefined"):
        digest(recipe)
    recipe.template.write_text("FROM {{ base\n")
    with pytest.raises(BuildError, match="cannot be rendered"):
        digest(recipe)
    with pytest.raises(BuildError, match="cannot be read"):
        digest(dataclasses.replace(recipe, template=tmp_path / "none"))
    with pytest.raises(BuildError, match="cannot be read"):
        digest(dataclasses.replace(recipe, files={"x": tmp_path / "none"}))


ONE_LINE = """
# deb http://commented.example.test/debian bookworm main
deb-src http://sources.example.test/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example.test/debian/ bookworm main contrib
"""
DEB822 = """
Types: deb
URIs: https://packages.example.test/other
Suites: stable

Enabled: no
Types: deb
URIs: http://disabled.example.test/debian
Suites: bookworm

Types: deb deb-src
URIs: https://mirror.example.test/debian
Suites: bookworm bookworm-updates
Components: main
"""


@pytest.mark.parametrize(
    ("texts", "mirror"),
    [
        ([ONE_LINE], "http://mirror.example.test/debian"),
        ([DEB822], "https://mirror.example.test/debian"),
        (["deb cdrom:[Debian]/ bookworm main\n", DEB822], "https://mirror.example.test/debian"),
        (["deb http://archive.ubuntu.test/ubuntu jammy main\n"], None),
        ([""], None),
        ([], None),
    ],
)
def test_the_machine_s_mirror_is_found(texts: list[str], mirror: str | None) -> None:
    assert find_mirror(texts) == mirror


def test_the_machine_s_proxies_are_found() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.example.test:3128";\n'
        'Acquire::https::Proxy "DIRECT";\n'
        'Acquire::http::Proxy::local.example.test "DIRECT";\n'
    )
    assert find_proxies(dump) == {"http_proxy": "http://proxy.example.test:3128"}


def test_the_default_mirror_is_read_from_the_program() -> None:
    program = '#!/bin/sh\nDEF_MIRROR="http://one.example.test/debian"\nDEF_HTTPS_MIRROR="x"\n'
    assert default_mirror(program) == "http://one.example.test/debian"
    assert default_mirror("#!/bin/sh\n") is None


def test_a_source_list_with_another_mirror() -> None:
    lines = ["# a comment", "deb [arch=amd64] http://a.test/debian bookworm main"]
    text = "\n".join([*lines, "deb-src http://a.test/debian bookworm main", ""])
    changed = renamed(text, "http://b.test/debian")
    assert changed == text.replace("http://a.test/debian", "http://b.test/debian")
