"""The settings: one frozen tree, read from the command line, the environment, secret files and a YAML file."""
