"""A local page that shows one scan and lets its surfaces be corrected."""
