"""One HTML file of finished runs, to send to a colleague."""
