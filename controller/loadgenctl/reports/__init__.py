"""Summaries for people and tools: `reports.text.print_summary(console, summary)`."""
