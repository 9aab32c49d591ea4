"""Commands about what is kept and what is left: `sdk`, `image` and `clean`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from loadgenctl.cli.commands.group import QuickGroup
from loadgenctl.cli.commands.run import PASS_ON, BuildCommand, Config, Quiet

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

sdk_app = typer.Typer(cls=QuickGroup, no_args_is_help=True, help="Built SDKs, kept for later runs.")
image_app = typer.Typer(
    cls=QuickGroup, no_args_is_help=True, help="The images that loadgenctl made."
)


@sdk_app.command("list")
def list_sdks_command(json_output: Json = False) -> None:
    """Show the built SDKs: revision, size, image."""
    from loadgenctl.cli.sdk import list_sdks

    list_sdks(as_json=json_output)


@sdk_app.command("build", cls=BuildCommand, context_settings=PASS_ON)
def build_sdk_command(
    ctx: typer.Context, json_output: Json = False, quiet: Quiet = False, config: Config = None
) -> None:
    """Build an SDK revision for later runs, and run nothing.

    Makes its image first, if need be. With --src your own folder is built where it is, as its
    owner.

    Exit codes: 0 built or found built, 2 bad usage, 3 the build failed, 130 interrupted.
    """
    from loadgenctl.cli.inputs import read_for_build
    from loadgenctl.cli.sdk import build_sdk
    from loadgenctl.cli.streams import keep_going

    keep_going()
    build_sdk(read_for_build(ctx.args, config), as_json=json_output, quiet=quiet)


@sdk_app.command("remove")
def remove_sdks_command(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="As `sdk list` shows them.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Remove built SDKs. One that a run uses stays."""
    from loadgenctl.cli.sdk import remove_sdks
    from loadgenctl.cli.streams import keep_going
    from loadgenctl.cli.wiring import sdk_cache

    keep_going()
    remove_sdks(sdk_cache(), keys or [], everything=everything)


@image_app.command("list")
def list_images_command(json_output: Json = False) -> None:
    """Show the images: tag, size, age."""
    from loadgenctl.cli.image import list_images

    list_images(as_json=json_output)


@image_app.command("build", cls=BuildCommand, context_settings=PASS_ON)
def build_image_command(
    ctx: typer.Context,
    all_in_one: Annotated[
        bool,
        typer.Option(
            "--all-in-one",
            help="One image with loadgenctl in it: docker run builds and measures a revision.",
        ),
    ] = False,
    era: Annotated[
        str | None,
        typer.Option("--era", metavar="NAME", help="That of docs/eras.md, without a revision."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--tag", "-t", metavar="NAME[:TAG]", help="Call it so, beside its own tag."),
    ] = None,
    json_output: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make the image that an SDK revision is built in and runs in, or find it made.

    With --all-in-one chain, client and load generator run as processes of one container, which
    needs no engine inside and serves every revision of the same era.

    Exit codes: 0 made or found, 2 bad usage, 3 the build failed, 130 interrupted.
    """
    from loadgenctl.cli.image import Asked, build_image
    from loadgenctl.cli.inputs import read_for_build
    from loadgenctl.cli.streams import keep_going

    keep_going()
    asked = Asked(all_in_one=all_in_one, era=era, name=name)
    build_image(read_for_build(ctx.args, config), asked, as_json=json_output, quiet=quiet)


@image_app.command("remove")
def remove_images_command(
    tags: Annotated[list[str], typer.Argument(metavar="TAG", help="As `image list` shows them.")],
) -> None:
    """Remove images. One that a container uses stays."""
    from loadgenctl.cli.image import remove_images
    from loadgenctl.cli.streams import keep_going

    keep_going()
    remove_images(tags)


def clean_command(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    engine: Annotated[
        Literal["docker", "local"] | None,
        typer.Option("--engine", help="Look at this one alone."),
    ] = None,
) -> None:
    """Remove what dead runs of this machine left: containers, networks, volumes; processes.

    Their results folders are kept, and marked as interrupted.
    """
    from loadgenctl.cli.clean import clean_engines
    from loadgenctl.cli.streams import keep_going

    keep_going()
    clean_engines(engine, dry_run=dry_run)
