"""Takes events off a message broker and hands each to an event HTTP API, once, on time, whatever breaks."""

__version__ = "0.1.0"
