"""The consumers that people write themselves, each a program of its own, beside which the bridge is measured."""
