"""Docker's errors as loadgenctl's errors, and retries of repeatable calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import requests
import tenacity
import urllib3
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from loadgenctl.clock import Clock
from loadgenctl.errors import EngineError, EngineUnavailable

T = TypeVar("T")

TRANSPORT_ERRORS: tuple[type[Exception], ...] = (
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
)
"""What a broken connection raises, in any layer."""
ENGINE_FAILURES: tuple[type[Exception], ...] = (DockerException, *TRANSPORT_ERRORS)
"""What any call may raise."""
BROKEN_STREAM: tuple[type[Exception], ...] = (*ENGINE_FAILURES, ValueError, AttributeError)
"""What reading a stream may raise when another thread closes it."""


def reason(error: BaseException) -> str:
    """The innermost cause in a few words: `requests` wraps a refused connection four times."""
    text = str(error)
    for phrase in (
        "No such file or directory",
        "Permission denied",
        "Connection refused",
        "timed out",
        "Name or service not known",
    ):
        if phrase in text:
            return phrase.lower()
    return text.splitlines()[0][:200] if text else type(error).__name__


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Convert all that docker-py raises into our errors; `doing` completes "cannot …"."""
    try:
        yield
    except ImageNotFound as error:
        raise EngineError(
            f"cannot {doing}: {explanation(error)}",
            hint="the image is not on the engine; it may have been removed during the run",
        ) from error
    except APIError as error:
        raise EngineError(f"cannot {doing}: {explanation(error)}") from error
    except TRANSPORT_ERRORS as error:
        raise EngineUnavailable(
            f"cannot {doing}: the Docker engine does not answer ({reason(error)})",
            hint="check whether the engine is running (`docker info`) and why it stopped",
        ) from error
    except DockerException as error:
        raise EngineError(f"cannot {doing}: {reason(error)}") from error


def explanation(error: BaseException) -> str:
    """The cause in one line: the engine's own message if it has one."""
    if isinstance(error, APIError):
        text = str(error.explanation or error).strip()
        return text or f"HTTP status {error.status_code}"
    return reason(error)


def is_conflict(error: APIError) -> bool:
    """True if the engine refuses because of the container's state (HTTP 409)."""
    return bool(error.status_code == 409)


def _transient(error: BaseException) -> bool:
    if isinstance(error, NotFound):
        return False
    if isinstance(error, APIError):
        return bool(error.is_server_error())
    return isinstance(error, TRANSPORT_ERRORS)


def retrying(clock: Clock, call: Callable[[], T]) -> T:
    """Call up to three times while the failure may be temporary. For repeatable calls only."""
    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_exponential(multiplier=0.2, max=1.0),
        retry=tenacity.retry_if_exception(_transient),
        sleep=clock.sleep,
        reraise=True,
    )
    return attempts(call)
