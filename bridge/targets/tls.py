"""The TLS side of HTTP targets."""

from __future__ import annotations

import ssl

from bridge.apis import HttpOptions
from bridge.errors import ConfigError


def client_context(options: HttpOptions, where: str) -> ssl.SSLContext:
    """
    Make a context that trusts the system's authorities or `ca_file`, checks host names, and takes TLS 1.2 or later.

    Raises ConfigError, naming the field below `where`, for files that cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:  # an SSLError is one too
        raise _unusable(f"{where}.http.ca_file", error) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if options.cert_file is not None:
        try:
            context.load_cert_chain(options.cert_file, options.cert_key_file, password="")  # never ask on a terminal
        except OSError as error:
            raise _unusable(f"{where}.http.cert_file", error) from error
    if options.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _unusable(field: str, error: OSError) -> ConfigError:
    problem = (
        "is no PEM file of the right kind" if isinstance(error, ssl.SSLError) else f"cannot be read: {error.strerror}"
    )
    return ConfigError(field, problem, "Name a PEM file that this user may read")
