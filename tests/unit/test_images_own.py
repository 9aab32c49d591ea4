"""The image around loadgenctl, in one container with the SDK."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loadgenctl.errors import LoadgenError, UsageError
from loadgenctl.images.installed_toolchain import OwnImage, Toolchain, load_toolchain, plain
from loadgenctl.model import ResolvedRevision
from loadgenctl.sdks import agoric
from loadgenctl.sdks.base import SdkFamily, SourceTree

REVISION = ResolvedRevision("agoric", "v1", "ab" * 20, 1, "ab" * 20, "https://git.example.test/sdk")


class Nothing:
    """A tree that nobody looks into."""

    def read(self, path: str) -> bytes | None:
        return None

    def contains(self, commit: str) -> bool | None:
        return None


def own(era: str, *, builds: bool = True, warnings: list[str] | None = None) -> OwnImage:
    recipe = agoric.of_era(era).image()
    chain = Toolchain("agoric", era, f"{recipe.name}:01", "sha256:aa", recipe.suite, plain(recipe))
    told: list[str] = [] if warnings is None else warnings
    return OwnImage(chain, builds, told.append)


def wanted(image: OwnImage, era: str) -> SdkFamily:
    def factory(revision: ResolvedRevision, tree: SourceTree) -> SdkFamily:
        return agoric.of_era(era)

    return image.serving(factory)(REVISION, Nothing())


def test_a_revision_of_its_era_is_served_and_the_image_named() -> None:
    image = own("2021-spring")
    family = wanted(image, "2021-spring")
    lines: list[str] = []
    made = image.ensure(family.image(), lines.append)
    assert (made.tag, made.id, made.built) == ("loadgenctl/sdk-2021-spring:01", "sha256:aa", False)
    assert lines == ["the image loadgenctl/sdk-2021-spring:01, which loadgenctl is installed in"]


def test_an_era_with_the_same_toolchain_is_served() -> None:
    assert wanted(own("2021-spring"), "2021-summer").era == "2021-summer"


def test_another_toolchain_is_refused_where_an_sdk_is_to_be_built() -> None:
    with pytest.raises(UsageError) as caught:
        wanted(own("2021-spring"), "2021-winter")
    assert caught.value.exit_code == 2
    assert "toolchain of 2021-spring, but the SDK needs that of 2021-winter" in caught.value.message
    assert "Debian bullseye in place of bookworm, Node 14.17.6" in caught.value.message
    assert "image build --all-in-one --revision" in (caught.value.hint or "")


def test_a_built_sdk_is_run_with_a_warning() -> None:
    warnings: list[str] = []
    family = wanted(own("2021-spring", builds=False, warnings=warnings), "2021-winter")
    assert family.era == "2021-winter"
    assert len(warnings) == 1
    assert "2021-winter" in warnings[0]


def test_what_the_image_holds_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    path.write_text(own("2021-autumn").toolchain.dump())
    assert load_toolchain(path) == own("2021-autumn").toolchain


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"sdk": "agoric"})])
def test_a_damaged_document_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "image.json"
    path.write_text(text)
    with pytest.raises(LoadgenError, match="cannot be read"):
        load_toolchain(path)
