"""Records and slogs to summaries; pure, without Docker, also from the folder of a killed run.

What other pieces use:

    summarize(folder, regen=False) -> RunSummary    # stats.run; the document of summary.json
    finish_run(folder, …) -> RunSummary             # stats.finish; both results of a run that ended
    block_summaries(rows), cycle_summaries(rows)    # stats.blocks, stats.cycles
"""
