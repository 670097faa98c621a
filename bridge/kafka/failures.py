"""What the client's errors mean: wait, or let a person change something, and what."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Collection
from typing import Final

from aiokafka import TopicPartition, errors

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.tokens import NoToken

_CURES: Final[dict[type[Exception], tuple[str, str]]] = {
    errors.UnknownTopicOrPartitionError: ("", "Create the topic, or correct its name"),
    errors.InvalidTopicError: ("", "Use letters, digits, dots, - and _, up to 249 of them"),
    errors.SaslAuthenticationFailed: (".sasl", "Check who we are and how we prove it"),
    errors.UnsupportedSaslMechanismError: (".sasl.mechanism", "Choose one that the brokers have enabled"),
    errors.IllegalSaslStateError: (".sasl", "Remove it, or name a listener of the brokers that asks for it"),
    errors.IncompatibleBrokerVersion: ("", "Use Kafka 3.0 or later"),
    errors.UnsupportedVersionError: ("", "Use Kafka 3.0 or later"),
}

_RIGHTS: Final[dict[type[Exception], tuple[str, str]]] = {
    errors.TopicAuthorizationFailedError: ("topic", "Read to consume it, Write to produce to it, Delete to sweep it"),
    errors.GroupAuthorizationFailedError: ("group", "Read"),
    errors.ClusterAuthorizationFailedError: ("cluster", "Create to make topics, IdempotentWrite to produce"),
}

_NAMES_DIFFER: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_OURS: Final = "CERTIFICATE", "UNKNOWN_CA"  # in the alerts that a server sends about a client's certificate
_NO_COMMON: Final = "PROTOCOL", "HANDSHAKE_FAILURE", "INSUFFICIENT_SECURITY"


def translated(error: Exception, what: str, where: str, *, needs: str = "") -> Exception:
    """
    Our name for an error of the client; an error that is none of its comes back as it is.

    `needs` is the operation of the ACL that the call takes on a topic or a group, such as "Write"; without it those
    that it may be are named.
    """
    if isinstance(error, NoToken):
        return error.told
    if isinstance(error, ssl.SSLError) and (found := of_certificate(error, what, where)):
        return found
    for kind, (resource, operations) in _RIGHTS.items():
        if isinstance(error, kind):
            name = f"{resource} {names}" if (names := _names(error)) else f"the {resource}"
            right = operations if resource == "cluster" else needs or operations
            cure = f"Give this user the ACL {right} on {name}"
            return ConfigError(where, f"{what}: {name} is forbidden to this user", cure)
    for kind, (field, cure) in _CURES.items():
        if isinstance(error, kind):
            return ConfigError(f"{where}{field}", f"{what}: {words(error)}", cure)
    if isinstance(error, errors.KafkaError | errors.ConsumerStoppedError | OSError):  # a TimeoutError is one too
        return Disconnected(f"{what}: {words(error)}")
    return error


def of_certificate(error: ssl.SSLError, what: str, where: str) -> ConfigError | None:
    """What a person has to change about certificates; None when this error is not about them."""
    if isinstance(error, ssl.SSLCertVerificationError):
        problem = f"{what}: {error.verify_message.rstrip('.')}"
        if error.verify_code in _NAMES_DIFFER:
            cure = "Name the brokers as their certificates do; what they advertise counts too"
            return ConfigError(f"{where}.bootstrap_servers", problem, cure)
        cure = "Name the authority that signed the brokers' certificates"
        if error.verify_code == _EXPIRED:
            cure = "Renew the brokers' certificate, or set this machine's clock"
        return ConfigError(f"{where}.tls.ca_file", problem, cure)
    alert = (error.reason or "").partition("_ALERT_")[2]
    if any(word in alert for word in _OURS):
        problem = f"{what} does not let us in without a certificate that it trusts ({alert.lower().replace('_', ' ')})"
        return ConfigError(f"{where}.tls.cert_file", problem, "Name one that an authority of the brokers has signed")
    if any(word in alert or word in (error.reason or "") for word in _NO_COMMON):
        return ConfigError(
            f"{where}.tls", f"{what} has no way of TLS in common with us", "Let it speak TLS 1.2 or later"
        )
    return None


def words(error: BaseException) -> str:
    """What the broker, the client or the system said, in short."""
    if isinstance(error, socket.gaierror):
        return error.strerror or "no such name"
    if isinstance(error, OSError) and error.errno is not None and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno)
    said = " ".join(arg for arg in map(_text, error.args) if arg)
    return (said or str(getattr(error, "description", "")) or type(error).__name__)[:300]


def _text(arg: object) -> str:
    return str(arg) if isinstance(arg, str | int | TopicPartition) else ""


def _names(error: Exception) -> str:
    """The topics or the group that an error is about, as far as the client says so."""
    found: set[str] = set()
    for arg in error.args:
        for item in arg if isinstance(arg, Collection) and not isinstance(arg, str | tuple) else (arg,):
            if isinstance(item, TopicPartition):
                found.add(item.topic)
            elif isinstance(item, str) and " " not in item:
                found.add(item)
    return ", ".join(sorted(found))
