"""Results in, text out: every way pgwrap shows what it found. Nothing here prints, reads, asks a clock or decides."""
