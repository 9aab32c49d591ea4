"""A loadgenctl.toml: its tables, the options in [run], the settings in [site]."""

from __future__ import annotations

from typing import Final

from tests.fuzz import mutate
from tests.fuzz.target import Target, folder
from tests.hostile import corpus

from loadgenctl.building.site import parse_site
from loadgenctl.plan.planner import make_plan
from loadgenctl.plan.settings import load_file, merge, rows

_SANE: Final = """[run]
stages = 3
stage.loadgen.faucet = { interval = 10, wait = 5, limit = 2 }
limit.chain.memory = "4g"
[run.stage.2]
duration = 1.5
loadgen.amm.interval = 15
[run.test-data]
a = ["b", 1, 2.5, true, 1979-05-27T07:32:00Z]
[site]
name = "x"
npm_registry = "https://packages.example/npm"
goproxy = "https://packages.example/go"
http_proxy = "http://proxy.example:3128"
no_proxy = "localhost"
[site.git]
"https://github.com/" = "https://git.example/github/"
"git@github.com:" = "/"
[site.builder.env]
GOFLAGS = "-x"
[[site.builder.mounts]]
source = "/"
target = "/site"
read_only = true
"""
_POOL: Final = (
    *("[run]", "[site]", "[site.git]", "[site.builder]", "[site.builder.env]", "[other]"),
    *("[[site.builder.mounts]]", "[[run]]", "[run.stage.1]", "[run.stage]", "[run.stage.loadgen]"),
    *(f"{key} = {value}" for key in ("name", "goproxy", "ca_bundle", "stages", "a.b", '"" ', "x")
      for value in ("1", '"x"', "true", "[]", "{}", "nan", "-inf", "0x7fffffffffffffffff",
                    "1979-05-27", '"\\u001b[2J"', '"""\na\n"""', "1" + "0" * 50, '["a", 1]')),
    "=", '"', "'''", "\x00", "#", "[" * 40 + "]" * 40,
)  # fmt: skip


def one_input(data: bytes) -> None:
    """See `Target.one_input`."""
    with folder() as place:
        file = place / "loadgenctl.toml"
        file.write_bytes(data)
        tables = load_file(file)
        settings = merge((), {}, tables.get("run"), str(file))
        rows(settings)
        site = parse_site(tables, place)
        site.builder_env()
        site.builder_gitconfig()
        site.builder_mounts(gitconfig=file)
        make_plan(settings, now=0.0, cwd=place)


def seeds() -> list[bytes]:
    """Hostile files, and one with all there may be."""
    texts = [_SANE, *(text for text in corpus("tomls") if len(text) < 5000)]
    return [text.encode("utf-8", "replace") for text in texts]


def _mutate(data: bytes, seed: int) -> bytes:
    changed = mutate.words(data.replace(b"\0", b" ").replace(b"\n", b"\0"), seed, _POOL)
    return changed.replace(b"\0", b"\n")


TARGET: Final = Target(
    "toml",
    "TOML configuration",
    one_input,
    seeds,
    _mutate,
    ("loadgenctl.plan", "loadgenctl.building.site", "tomllib"),
)
