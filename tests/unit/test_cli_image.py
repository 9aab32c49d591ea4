"""Our images listed and removed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from loadgenctl.cli.image import build_image, remove_each, show_images
from loadgenctl.cli.merged_options import read_for_build
from loadgenctl.errors import UsageError
from loadgenctl.images import ImageInfo
from loadgenctl.images.image_store import parse_name

NOW = 1700000000.0
SPRING = ImageInfo("loadgenctl/sdk-spring:01", "sha256:aa", 1400 * 1024**2, int(NOW) - 7300)
SIM = ImageInfo("loadgenctl/sim:02", "sha256:bb", 240 * 1024**2, int(NOW) - 86400 * 3)


@dataclass
class Images:
    """Images on an engine; those in `used` cannot go."""

    there: list[ImageInfo] = field(default_factory=lambda: [SPRING, SIM])
    used: set[str] = field(default_factory=set)

    def list(self) -> list[ImageInfo]:
        return self.there

    def remove(self, tag: str) -> bool:
        if tag in self.used:
            raise UsageError(f"the image {tag} is in use")
        left = [info for info in self.there if info.tag != tag]
        found = len(left) < len(self.there)
        self.there = left
        return found


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    show_images(Images(), now=NOW, as_json=False)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        ["tag", "size", "age"],
        ["loadgenctl/sdk-spring:01", "1.4", "GiB", "2", "hours"],
        ["loadgenctl/sim:02", "240", "MiB", "3", "days"],
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    show_images(Images([SIM]), now=NOW, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {
            "tag": "loadgenctl/sim:02",
            "id": "sha256:bb",
            "size_bytes": 240 * 1024**2,
            "created_at": int(NOW) - 86400 * 3,
        }
    ]


def test_none(capsys: pytest.CaptureFixture[str]) -> None:
    show_images(Images([]), now=NOW, as_json=False)
    assert "no loadgenctl images" in capsys.readouterr().out


def test_removing(capsys: pytest.CaptureFixture[str]) -> None:
    images = Images()
    remove_each(images, [SPRING.tag, SIM.tag])
    assert images.there == []
    assert capsys.readouterr().out == f"removed {SPRING.tag}\nremoved {SIM.tag}\n"


def test_what_cannot_go_does_not_keep_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    images = Images(used={SPRING.tag})
    with pytest.raises(UsageError) as caught:
        remove_each(images, [SPRING.tag, "unknown:1", SIM.tag])
    assert "is in use" in caught.value.message
    assert "no image unknown:1" in caught.value.message
    assert images.there == [SPRING]
    assert capsys.readouterr().out == f"removed {SIM.tag}\n"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("loadgen-runner", ("loadgen-runner", "latest")),
        ("team/loadgen:v1.2", ("team/loadgen", "v1.2")),
        ("registry.example.test:5000/loadgen", ("registry.example.test:5000/loadgen", "latest")),
        ("registry.example.test:5000/a/b:c", ("registry.example.test:5000/a/b", "c")),
    ],
)
def test_names_of_images(name: str, parts: tuple[str, str]) -> None:
    assert parse_name(name) == parts


@pytest.mark.parametrize("name", ["", "Upper", "-x", "a b", "a:", "a:b:c", "a@sha256:00", "a/"])
def test_what_is_no_name_of_an_image(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an image"):
        parse_name(name)


@pytest.mark.parametrize(
    ("args", "asked", "said"),
    [
        ((), {"name": "Upper"}, "cannot be the name"),
        ((), {"era": "1999"}, "no era '1999'"),
        (("--revision", "abc"), {"era": "2021-spring"}, "exclude each other"),
        (("--sdk", "sim"), {"era": "2021-spring"}, "is for the Agoric SDK"),
    ],
)
def test_mistakes_are_told_before_an_engine_is_asked(
    args: tuple[str, ...], asked: dict[str, str], said: str
) -> None:
    wanted = {"era": None, "name": None, **asked}
    with pytest.raises(UsageError, match=said):
        build_image(read_for_build(args, None), all_in_one=False, quiet=True, **wanted)
