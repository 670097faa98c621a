"""What the client's errors mean: wait, or let a person change something, and what."""

from __future__ import annotations

import ssl
from typing import Final

from aiokafka import errors

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.tokens import NoToken

_CURES: Final[dict[type[Exception], tuple[str, str]]] = {
    errors.TopicAuthorizationFailedError: ("", "Give this user the ACL it needs on that topic"),
    errors.GroupAuthorizationFailedError: ("", "Give this user the ACL Read on that consumer group"),
    errors.ClusterAuthorizationFailedError: ("", "Give this user the ACL it needs on the cluster"),
    errors.UnknownTopicOrPartitionError: ("", "Create the topic, or correct its name"),
    errors.SaslAuthenticationFailed: (".sasl", "Check the user and the password"),
    errors.UnsupportedSaslMechanismError: (".sasl.mechanism", "Choose one that the brokers have enabled"),
    errors.IllegalSaslStateError: (".sasl", "Remove it, or name a listener of the brokers that asks for it"),
    ssl.SSLCertVerificationError: (".tls.ca_file", "Name the authority that signed the brokers' certificates"),
}


def translated(error: Exception, what: str, where: str) -> Exception:
    """Our name for an error of the client; an error that is none of its comes back as it is."""
    if isinstance(error, NoToken):
        return error.told
    for kind, (field, cure) in _CURES.items():
        if isinstance(error, kind):
            return ConfigError(f"{where}{field}", f"{what}: {words(error)}", cure)
    if isinstance(error, errors.KafkaError | OSError | TimeoutError):
        return Disconnected(f"{what}: {words(error)}")
    return error


def words(error: BaseException) -> str:
    """What the broker or the client said, in short."""
    text = " ".join(map(str, error.args)) or getattr(error, "description", "")
    return text[:300] or type(error).__name__
