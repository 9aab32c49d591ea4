"""The chain's structured log: follow, split, find, compress; the same code live and offline.

The interface for other packages:

    scanner = SlogScanner()                                     # slog.scan
    follower = SlogFollower(plain, packed, codec="gzip", scanner=scanner)   # slog.follow
    follower.poll()                      # every second or two; returns the bytes taken
    for block in scanner.take_blocks():  # finished blocks since the last call
        row = rows.row(block, chain_ready_at=…, shutdown_at=…)   # slog.blocks.BlockRows(stage)
    follower.close()                     # reads the rest, closes the file, reports a torn line
    scan_file(path)                      # slog.scan: a complete .slog, .slog.gz or .slog.zst at
    once

Bytes become facts (slog.read), facts become blocks and vats (slog.scan).
"""
