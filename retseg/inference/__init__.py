"""From any scan to surfaces and microns: prediction, how far to believe it, and the files that it is written to."""
