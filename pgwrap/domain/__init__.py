"""Pure vocabulary and verdicts: no input or output, no clock, no third-party import."""
