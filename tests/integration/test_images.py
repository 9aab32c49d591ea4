"""Images on a real engine: built once, failures with their step, nothing left behind."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from docker import DockerClient
from tests.docker_support import SUITE, DockerUnderTest
from tests.registry import Registry
from tests.waiting import eventually

from loadgenctl.building.site import SiteSettings
from loadgenctl.clock import SystemClock
from loadgenctl.errors import BuildError, Interrupted, UsageError
from loadgenctl.images import ImageStore
from loadgenctl.images.base_images import LABEL, Bases
from loadgenctl.images.debootstrap import Bootstrap
from loadgenctl.images.image_build import image_document
from loadgenctl.process import Runner
from loadgenctl.sdks.base import ImageRecipe

pytestmark = pytest.mark.docker

OTHER_SUITE = "bullseye"
"""The real SDK's: between them the tests make both from nothing on a fresh machine."""
TWO_STAGES = """\
FROM {{ base }} AS first
RUN echo {{ word }} >/made
FROM {{ base }}
COPY --from=first /made /made
COPY greeting.sh /greeting.sh
RUN cat /made && /greeting.sh
"""
FAILING = """\
FROM {{ base }} AS first
RUN echo early >/made
FROM {{ base }}
COPY --from=first /made /made
RUN for n in $(seq 1 50); do echo output $n; done; echo the reason >&2; exit 9
RUN echo never
"""
PATIENCE = 30.0


class Workbench:
    """A store on a client of its own, and templates in a folder."""

    def __init__(self, client: DockerClient, folder: Path, serial: str) -> None:
        """Everything made is named after `serial`."""
        self.client = client
        self.folder = folder
        self.serial = serial
        self.lines: list[str] = []

    def store(
        self, site: SiteSettings | None = None, client: DockerClient | None = None
    ) -> ImageStore:
        """A store as one command has it."""
        return ImageStore(
            client or self.client,
            Runner(),
            site or SiteSettings(),
            SystemClock(),
            self.folder / "cache",
        )

    def recipe(self, template: str, word: str = "hello") -> ImageRecipe:
        """A recipe that no other test has."""
        path, script = self.folder / "Dockerfile.j2", self.folder / "greeting.sh"
        path.write_text(f"{template}LABEL serial={self.serial}\n")
        script.write_text("#!/bin/sh\necho greetings\n")
        script.chmod(0o755)
        return ImageRecipe(
            name=f"loadgenctl-test/{self.serial}",
            suite=SUITE,
            template=path,
            values={"word": word},
            files={"greeting.sh": script},
        )

    def untagged(self) -> set[str]:
        """Ids of images without a tag."""
        return {image["Id"] for image in self.client.api.images(filters={"dangling": True})}

    def containers(self) -> set[str]:
        """Ids of all containers that run a shell step of a build."""
        return {
            found["Id"]
            for found in self.client.api.containers(all=True)
            if not found["Labels"] and found["Command"].startswith("/bin/sh -c")
        }


_SERIALS = itertools.count()


@pytest.fixture
def bench(docker_under_test: DockerUnderTest, tmp_path: Path) -> Iterator[Workbench]:
    client = docker_under_test.client()
    made = Workbench(client, tmp_path, f"{os.getpid()}-{next(_SERIALS)}")
    yield made
    for info in made.store().list():
        if made.serial in info.tag:
            client.api.remove_image(info.tag, force=True)
    client.close()


def test_an_image_is_built_once_and_leaves_only_itself(bench: Workbench) -> None:
    before = bench.untagged(), bench.containers()
    recipe = bench.recipe(TWO_STAGES)

    first = bench.store().ensure(recipe, bench.lines.append)

    assert first.built
    assert first.tag == bench.store().tag(recipe)
    assert first.id.startswith("sha256:")
    assert "hello" in bench.lines
    assert "greetings" in bench.lines
    assert any(line.startswith("Step 1/") for line in bench.lines)
    assert bench.untagged() <= before[0]
    assert bench.containers() <= before[1]

    bench.lines.clear()
    again = bench.store().ensure(recipe, bench.lines.append)
    assert (again.tag, again.id, again.built) == (first.tag, first.id, False)
    assert bench.lines == []


def test_another_value_is_another_image(bench: Workbench) -> None:
    first = bench.store().ensure(bench.recipe(TWO_STAGES), bench.lines.append)
    second = bench.store().ensure(bench.recipe(TWO_STAGES, "other"), bench.lines.append)
    assert first.tag != second.tag
    assert {first.tag, second.tag} <= {info.tag for info in bench.store().list()}


def test_listed_images_can_be_removed_and_others_cannot(bench: Workbench) -> None:
    made = bench.store().ensure(bench.recipe(TWO_STAGES), bench.lines.append)
    info = next(info for info in bench.store().list() if info.tag == made.tag)
    assert info.id == made.id
    assert info.size_bytes > 1_000_000
    assert info.created > 1_600_000_000

    foreign = f"loadgenctl-foreign/{bench.serial}"
    bench.client.api.tag(f"loadgenctl/base:{SUITE}", foreign)
    try:
        document = image_document(bench.client, foreign)
        assert document is not None
        if LABEL not in (document["Config"].get("Labels") or {}):
            with pytest.raises(UsageError, match="not an image that loadgenctl made"):
                bench.store().remove(foreign)
    finally:
        bench.client.api.remove_image(foreign)

    holder = bench.client.api.create_container(made.tag, "true")
    try:
        with pytest.raises(UsageError, match="is in use"):
            bench.store().remove(made.tag)
    finally:
        bench.client.api.remove_container(holder)
    assert bench.store().remove(made.tag) is True
    assert bench.store().remove(made.tag) is False
    assert made.tag not in {info.tag for info in bench.store().list()}


def test_a_failing_step_is_named_with_its_output_and_nothing_stays(bench: Workbench) -> None:
    before = bench.untagged(), bench.containers()
    with pytest.raises(BuildError) as caught:
        bench.store().ensure(bench.recipe(FAILING), bench.lines.append)

    assert caught.value.exit_code == 3
    assert "step 5/" in caught.value.message
    assert "RUN for n in" in caught.value.message
    assert caught.value.detail is not None
    assert "the reason" in caught.value.detail
    assert "output 50" in caught.value.detail
    assert "output 1\n" not in caught.value.detail
    assert bench.untagged() <= before[0]
    assert bench.containers() <= before[1]


def test_an_interrupt_ends_the_build(bench: Workbench) -> None:
    before = bench.containers()

    def interrupt(line: str) -> None:
        if line == "started":
            raise Interrupted("by the test")

    template = "FROM {{ base }}\nRUN echo started && sleep 600\n"
    with pytest.raises(Interrupted):
        bench.store().ensure(bench.recipe(template), interrupt)
    eventually(lambda: bench.containers() <= before)


def test_of_two_builds_at_once_one_waits_and_takes_the_other_s(
    bench: Workbench, docker_under_test: DockerUnderTest
) -> None:
    recipe = bench.recipe("FROM {{ base }}\nRUN sleep 1\n")
    clients = [docker_under_test.client() for _ in range(2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            made = list(
                pool.map(
                    lambda client: bench.store(client=client).ensure(recipe, bench.lines.append),
                    clients,
                )
            )
    finally:
        for client in clients:
            client.close()
    assert sorted(ref.built for ref in made) == [False, True]
    assert made[0].id == made[1].id
    assert any(line.startswith("waiting for another loadgenctl") for line in bench.lines)


def test_site_settings_reach_the_build_and_leave_no_trace(bench: Workbench, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("a certificate\n")
    site = SiteSettings(
        ca_bundle=bundle,
        npm_registry="https://npm.example.test",
        http_proxy="http://secret@proxy.example.test:3128",
        no_proxy="example.test",
    )
    template = (
        "FROM {{ base }} AS first\n"
        "{%- if site_ca %}\nCOPY site-ca.crt /ca\n{%- endif %}\n"
        "RUN cat /ca; echo registry={{ npm_registry }}; echo proxy=$http_proxy $HTTP_PROXY\n"
        "FROM {{ base }}\n"
    )
    made = bench.store(site).ensure(bench.recipe(template), bench.lines.append)

    assert "a certificate" in bench.lines
    assert "registry=https://npm.example.test" in bench.lines
    proxy = "http://***@proxy.example.test:3128"
    assert f"proxy={proxy} {proxy}" in bench.lines, "as it reached the build, but for the secret"
    image = bench.client.images.get(made.tag)
    everything = f"{image.attrs} {image.history()}"
    assert "proxy.example.test" not in everything
    assert "npm.example.test" not in everything


def test_a_faulty_template_is_refused_before_anything_is_built(bench: Workbench) -> None:
    with pytest.raises(BuildError, match="'missing' is undefined"):
        bench.store().ensure(
            bench.recipe("FROM {{ base }}\nRUN {{ missing }}\n"), bench.lines.append
        )
    assert bench.lines == []


def _bases(bench: Workbench, upstream: str, runner: Runner | None = None) -> Bases:
    bootstrap = Bootstrap(runner or Runner(), SiteSettings(), bench.folder / "tmp")
    return Bases(
        bench.client,
        bootstrap,
        SiteSettings(),
        repository=f"loadgenctl-test/base-{bench.serial}",
        upstream=upstream,
    )


def test_an_upstream_image_on_the_engine_is_adopted(bench: Workbench) -> None:
    upstream = f"loadgenctl-foreign/{bench.serial}"
    bench.client.api.tag(f"loadgenctl/base:{SUITE}", upstream, tag=f"{SUITE}-slim")
    try:
        bases = _bases(bench, upstream + ":{suite}-slim")
        bases.make(SUITE, bench.lines.append)
        bases.make(SUITE, bench.lines.append)
        assert bases.present(bases.tag(SUITE))
    finally:
        bench.client.api.remove_image(f"{upstream}:{SUITE}-slim")


def test_a_base_is_pulled_where_a_registry_answers(
    bench: Workbench, docker_under_test: DockerUnderTest, tmp_path: Path
) -> None:
    with Registry(bench.client, docker_under_test.image, tmp_path) as registry:
        upstream = f"{registry.address}/debian:{SUITE}-slim"
        bases = _bases(bench, registry.address + "/debian:{suite}-slim")
        try:
            bases.make(SUITE, bench.lines.append)
            assert bench.lines[0] == f"pulling {upstream}"
            assert f"the base image {bases.tag(SUITE)} is made from {upstream}" in bench.lines
            assert bases.present(bases.tag(SUITE))
        finally:
            bench.client.api.remove_image(upstream)


def test_a_base_is_bootstrapped_from_nothing_where_no_registry_answers(bench: Workbench) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can bootstrap a Debian system")
    # Nothing listens on port 1: the pull fails as without a registry.
    bases = _bases(bench, "127.0.0.1:1/none:{suite}-slim")
    bases.make(OTHER_SUITE, bench.lines.append)

    document = image_document(bench.client, bases.tag(OTHER_SUITE))
    assert document is not None
    assert document["Size"] < 200_000_000
    assert any("cannot be pulled" in line for line in bench.lines)
    assert list((bench.folder / "tmp").iterdir()) == []
