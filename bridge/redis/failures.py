"""What the client's errors mean: wait, or let a person change something, and what."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Final

from redis import exceptions as errors
from redis.exceptions import RedisError, ResponseError

from bridge.errors import BridgeError, ConfigError, StoreUnavailable

_FIELD: Final = "store"

_UNTRUSTED: Final = "Name the authority that signed the server's certificate"
_OTHER_NAME: Final = "Name the server as its certificate does, or take `verify: ca` if addresses are all there is"
_FILES: Final = "Check ca_file, cert_file and key_file: PEM, and readable for this user"
_NAMES_DIFFER: Final = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_NOT_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "UNEXPECTED_EOF_WHILE_READING")

_HINT: Final = (
    "; it must speak TLS if and only if the URL begins with rediss://, and a certificate that it wants is named "
    "in store.tls.cert_file"
)

_CLUSTER: Final = ("mode", "is a node of a cluster", "Write `mode: cluster`")
_NO_CLUSTER: Final = ("mode", "is no node of a cluster", "Write `mode: single`")
_LOGIN: Final = ("password", "does not let us in with this user and password", "Correct it, or store.username")
_RIGHTS: Final = ("username", "", "Give this user the rights that docs/dedup.md lists for Redis")

_PERSON: Final[dict[str, tuple[str, str, str]]] = {
    "NOAUTH": _LOGIN,
    "WRONGPASS": _LOGIN,
    "NOPERM": _RIGHTS,
    "MOVED": _CLUSTER,
    "CROSSSLOT": _CLUSTER,
    "can't run this command": _RIGHTS,
    "ACL failure in script": _RIGHTS,
    "cluster support disabled": _NO_CLUSTER,
    "unknown command 'CLUSTER'": _NO_CLUSTER,
}
"""What waiting cannot help: the field, the problem ("": the server's own words), the cure."""

_WAIT: Final[dict[str, str]] = {
    "OOM": "its memory is full: give it more, or lower store.ttl",
    "READONLY": "it is a read-only replica: name its master, or let Sentinels find that (store.mode: sentinel)",
    "MISCONF": "it takes no writes, since it cannot save to its disk: look into its log",
    "LOADING": "it is loading its data",
    "BUSY": "another script keeps it busy: SCRIPT KILL ends that",
    "MASTERDOWN": "it has lost its master",
    "CLUSTERDOWN": "the cluster does not serve all slots: look at CLUSTER INFO",
    "TRYAGAIN": "the slot is on its way to another node",
    "NOREPLICAS": "it has too few replicas to take writes (min-replicas-to-write)",
}

_CLASSES: Final[dict[type[RedisError], str]] = {
    errors.AuthenticationError: "WRONGPASS",
    errors.NoPermissionError: "NOPERM",
    errors.MovedError: "MOVED",
    errors.ClusterCrossSlotError: "CROSSSLOT",
    errors.OutOfMemoryError: "OOM",
    errors.ReadOnlyError: "READONLY",
    errors.BusyLoadingError: "LOADING",
    errors.MasterDownError: "MASTERDOWN",
    errors.ClusterDownError: "CLUSTERDOWN",
    errors.TryAgainError: "TRYAGAIN",
}


def translated(error: Exception, what: str) -> BridgeError:
    """Our name for an error of the client. `what` is the server, in words that name no secret."""
    return next(_of_chain(error, what), StoreUnavailable(f"{what}: {_words(error)}"))


def _of_chain(error: Exception, what: str) -> Iterator[BridgeError]:
    """The client wraps what happened, so the causes are looked at too, the first one first."""
    link: BaseException | None = error
    chain: list[BaseException] = []
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    for each in reversed(chain):
        found = _of_tls(each, what) if isinstance(each, ssl.SSLError) else None
        if isinstance(each, FileNotFoundError | PermissionError | IsADirectoryError):
            found = ConfigError(f"{_FIELD}.tls", f"a file of certificates cannot be read ({each.strerror})", _FILES)
        if isinstance(each, RedisError):
            found = _of_answer(each, what)
        if found is not None:
            yield found


def _of_tls(error: ssl.SSLError, what: str) -> BridgeError | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        names = error.verify_code in _NAMES_DIFFER
        field, cure = (f"{_FIELD}.tls.verify", _OTHER_NAME) if names else (f"{_FIELD}.tls.ca_file", _UNTRUSTED)
        return ConfigError(field, f"{what}: {error.verify_message.rstrip('.')}", cure)
    reason = error.reason or ""
    if any(word in reason for word in _NOT_TLS):
        return ConfigError(
            f"{_FIELD}.url", f"{what} does not speak TLS at this port", "Write redis://, or its TLS port"
        )
    if "ALERT" in reason:
        problem = f"{what} ends the TLS session ({reason.lower().replace('_', ' ')})"
        return ConfigError(
            f"{_FIELD}.tls", problem, "Name a cert_file that it trusts, and let it speak TLS 1.2 or later"
        )
    return ConfigError(f"{_FIELD}.tls", f"a file of certificates cannot be used ({reason or error})", _FILES)


def _of_answer(error: RedisError, what: str) -> BridgeError | None:
    code, text = _code(error), str(error)
    for word, (field, problem, cure) in _PERSON.items():
        if code == word or (" " in word and word in text):
            return ConfigError(f"{_FIELD}.{field}", f"{what} {problem or f'says: {text}'}", cure)
    if code in _WAIT:
        return StoreUnavailable(f"{what}: {_WAIT[code]}")
    return StoreUnavailable(f"{what} says: {text}") if isinstance(error, ResponseError) else None


def _code(error: RedisError) -> str:
    """The first word of what the server said; the client takes it away where it has a class for it."""
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return code
    return str(error).partition(" ")[0]


def _words(error: Exception) -> str:
    text = str(error)
    if isinstance(error, TimeoutError | errors.TimeoutError):
        return f"gave no answer in time{_HINT if 'connecting' in text else ''}"
    return text + (_HINT if "closed by server" in text or "reset by peer" in text else "")
