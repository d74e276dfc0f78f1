"""The claims of the paper, by section."""
