"""The outer faces: the command line and HTTP, and the one place where the parts are put together.

Reading order: settings, wiring, schemas, http, terminal, eval_commands, taking_in, cli.
"""
