"""From a typed name to its option, and the names that can be typed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from loadgenctl.plan.options import OPTIONS, ROLES, Option


@dataclass(frozen=True, slots=True)
class Match:
    """A typed path, matched to its option."""

    option: Option
    path: tuple[str, ...]
    """With the stage number, role or free-form keys filled in."""


def find(path: tuple[str, ...]) -> Match | None:
    """The option that a path names; None if there is none.

    The most literal option wins: `stage.loadgen.x` is the shared load config, not stage "loadgen".
    """
    hits = [option for option in OPTIONS if _fits(option.path, path)]
    if not hits:
        return None
    best = max(hits, key=lambda option: sum(word != "*" for word in option.path))
    return Match(best, path)


def _fits(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    if pattern[-1] == "*" and pattern[0] in {"stage", "test-data"}:
        head = pattern[:-1]
        return len(path) >= len(head) and _fits_words(head, path[: len(head)])
    return len(pattern) == len(path) and _fits_words(pattern, path)


def _fits_words(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    for want, word in zip(pattern, path, strict=True):
        if want == "*":
            if not _wild(pattern[0], word):
                return False
        elif want != word:
            return False
    return True


def _wild(group: str, word: str) -> bool:
    if group == "stage":
        return word.isdecimal() and word.isascii() and len(word) < 5
    return word in ROLES


def names() -> list[str]:
    """All keys as they are typed, for suggestions."""
    return [name for option in OPTIONS for name in names_of(option)]


def names_of(option: Option) -> list[str]:
    """One option's keys as they are typed, with `N` for a stage's number."""
    key, group = option.key, option.path[0]
    if key.startswith("stage.*."):
        return [key.replace("*", "N", 1)]
    if "*" in key and group in {"limit", "timeout", "port"}:
        return [key.replace("*", role, 1) for role in ROLES]
    return [key]
