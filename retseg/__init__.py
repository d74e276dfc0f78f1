"""retseg: retinal layers from OCT B-scans, with explanations, microns, and how far to believe them."""

__version__ = "0.1.0"
