"""The offline harness: how right the answers are.

Reading order:
- what is asked: questions, data_files, squad, json_lines, beir, datasets;
- what is measured of one question: answer_metrics, retrieval_metrics, selective;
- asking: run_folder, runs, facts, predictors;
- scoring a run: outcomes, bootstrap, metrics, scores, scored_run, losses;
- comparing two: chance, differences, gate, pairs, compare;
- pages for people: svg, charts, figures, page, wrong_answers, report, comparison_report;
- choosing settings: sweep, sweep_page.
"""
