"""Scans in whatever files people have: one reader a kind of file, all of them give `ScanVolume`s."""
