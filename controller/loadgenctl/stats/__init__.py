"""Records and slogs to summaries; pure."""
