"""The outer faces: the command line, the HTTP API and the page. Settings become ready objects in `wiring`.

Reading order: settings, wiring; then the service: problem_schemas, problems, schemas, article_schemas, examples, keys,
metrics, access, desk, logs, guards, service, questions, bulk, articles, readiness, health; the page: view_links, views,
view_forms, view_text, view_uploads, view_problems, view_page, page_adding, page_keys, pages; http, protocol, workers,
serve; the commands: key_commands, terminal, eval_archive, eval_terminal, eval_commands, eval_compare, eval_sweep,
taking_in, cli.
"""
