"""What can be typed: the commands' names, options and help, and nothing else.

Every function here imports what it does when it is called. So `--help` comes at once, without
waiting for the engine's client, compressors and parsers that only some commands need. Modules of
this package import typer and the standard library when they are loaded, nothing more.
"""
