"""What the HTTP side of every service has in common: problems, callers, writes that happen once, reads, and the app."""
