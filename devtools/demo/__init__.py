"""`./dev demo`: events on their way from a broker to an event API, shown line by line."""
