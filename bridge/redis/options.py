"""How to reach a Redis or Valkey, as settings. Imports no client."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from bridge.errors import ConfigError
from bridge.units import Duration

Mode = Literal["single", "sentinel", "cluster"]

_PORT = 6379
_LAST_PORT = 65_535
_SERVER = re.compile(r"(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


def _split(value: object) -> object:
    """Take "a:26379, b:26379" for a list."""
    return value.split(",") if isinstance(value, str) else value


def _checked(servers: tuple[str, ...]) -> tuple[str, ...]:
    """Raises ValueError, which pydantic turns into its report, naming what is no `host:port`."""
    servers = tuple(server.strip() for server in servers)
    for server in servers:
        if not (found := _SERVER.fullmatch(server)) or not 0 < int(found["port"]) <= _LAST_PORT:
            raise ValueError("write each server as host:port, such as redis-1:6379 or [::1]:6379")
    return servers


Servers = Annotated[
    tuple[str, ...], BeforeValidator(_split, json_schema_input_type=str | list[str]), AfterValidator(_checked)
]


class Tls(BaseModel):
    """Which certificates are trusted, and which is ours. TLS is 1.2 or later."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    ca_file: str | None = Field(
        None, min_length=1, description="PEM file of the certificate authorities to trust instead of the system's."
    )
    cert_file: str | None = Field(
        None, min_length=1, description="PEM file of our own certificate, where the server asks for one."
    )
    key_file: str | None = Field(
        None, min_length=1, description="PEM file of its private key; by default it is in `cert_file` too."
    )
    verify: Literal["full", "ca"] = Field(
        "full",
        description="`full` checks that the server's certificate is for the host that was asked for; `ca` only that a "
        "trusted authority signed it, for clusters whose nodes call each other by addresses.",
    )


@dataclass(slots=True, frozen=True)
class Address:
    """One server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(server: str) -> Address:
    """Read "host:port" or "[::1]:port", which has been checked."""
    host, _, port = server.rpartition(":")
    return Address(host.strip("[]"), int(port))


@dataclass(slots=True, frozen=True)
class Login:
    """Who we are to a server, and which of its databases is ours."""

    username: str | None
    password: SecretStr | None
    database: int = 0


class RedisConnectionSettings(BaseModel):
    """One server (`single`), one that Sentinels watch over (`sentinel`), or a `cluster`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    mode: Mode = Field("single", description="`single` server, `sentinel` for a watched one, or `cluster`.")
    url: SecretStr | None = Field(
        None,
        description="redis://user:password@host:port/database, or rediss:// for TLS. Of a cluster: any node, and no "
        "database. Not for `sentinel`.",
    )
    nodes: Servers = Field((), description="Further nodes of the cluster to ask when the first is down, as host:port.")
    sentinels: Servers = Field((), description="The Sentinels, as host:port.")
    master_name: str | None = Field(None, min_length=1, description="What the Sentinels call the server.")
    username: str | None = Field(None, min_length=1, description="The ACL user, if `url` does not name it.")
    password: SecretStr | None = Field(None, description="Its password, if `url` does not have it.")
    sentinel_username: str | None = Field(None, min_length=1, description="The ACL user at the Sentinels, if any.")
    sentinel_password: SecretStr | None = Field(None, description="The password at the Sentinels, if any.")
    tls: Tls | None = Field(
        None, description="Certificates, with rediss://. For `sentinel`: its presence turns TLS on, everywhere."
    )
    timeout: Duration = Field(
        0.5, gt=0, le=30, description="How long one answer may take; connecting and logging in count apart."
    )
    pool: int = Field(8, ge=1, le=256, description="Connections to each server, at most.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """Raises ValueError, which pydantic turns into its report."""
        if self.mode == "sentinel":
            _require(self.url is None, "url", "is not for `mode: sentinel`; the Sentinels know where the server is")
            _require(bool(self.sentinels), "sentinels", "is missing; name at least one, as host:port")
            _require(self.master_name is not None, "master_name", "is missing; write what the Sentinels call it")
        else:
            _require(self.url is not None, "url", "is missing; write redis://host:6379")
            for name in ("sentinels", "master_name", "sentinel_username", "sentinel_password"):
                _require(not getattr(self, name), name, "is for `mode: sentinel` only")
            self._check_url()
        _require(self.mode == "cluster" or not self.nodes, "nodes", "is for `mode: cluster` only")
        return self

    def _check_url(self) -> None:
        scheme, _, (username, password), database = self._parts()
        _require(scheme in {"redis", "rediss"}, "url", "must begin with redis:// or rediss://")
        _require(self.tls is None or scheme == "rediss", "tls", "needs rediss:// in `url`")
        _require(not (username and self.username), "username", "stands in `url` too; leave one out")
        _require(not (password and self.password), "password", "stands in `url` too; leave one out")
        _require(self.mode == "single" or not database, "url", "names a database, of which a cluster has only one")

    def _parts(self) -> tuple[str, Address, tuple[str | None, str | None], int]:
        """Scheme, server, user with password, and database of `url`. Raises ValueError, never with what it holds."""
        try:
            parts = urlsplit(self.url.get_secret_value() if self.url else "")
            address = Address(parts.hostname or "", parts.port or _PORT)
            database = int(parts.path.strip("/") or "0")
        except ValueError:
            raise ValueError("url cannot be read; write redis://user:password@host:port/database") from None
        _require(bool(address.host) and not parts.query and not parts.fragment, "url", "must be redis://host:port")
        _require(database >= 0, "url", "names a database that cannot be")
        login = tuple(unquote(part) if part else None for part in (parts.username, parts.password))
        return parts.scheme, address, (login[0], login[1]), database

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.tls is not None if self.url is None else self._parts()[0] == "rediss"

    @property
    def seeds(self) -> tuple[Address, ...]:
        """Whom to ask first: the server, nodes of the cluster, or the Sentinels."""
        if self.url is None:
            return tuple(map(address_of, self.sentinels))
        return (self._parts()[1], *map(address_of, self.nodes))

    @property
    def place(self) -> str:
        """Where the keys are, for people; without a secret."""
        named = ", ".join(map(str, self.seeds))
        return f"Redis {self.master_name} of the Sentinels {named}" if self.url is None else f"Redis at {named}"

    @property
    def login(self) -> Login:
        """At the servers that keep the keys."""
        if self.url is None:
            return Login(self.username, self.password)
        _, _, (username, password), database = self._parts()
        secret = SecretStr(password) if password else self.password
        return Login(username or self.username, secret, database)

    @property
    def sentinel_login(self) -> Login:
        """At the Sentinels."""
        return Login(self.sentinel_username, self.sentinel_password)


def _require(holds: bool, field: str, problem: str) -> None:  # noqa: FBT001  the condition that the name asks for
    if not holds:
        raise ValueError(f"{field} {problem}")


def needs_client(where: str) -> ConfigError:
    """The error for a store on Redis where its client is not installed."""
    return ConfigError(f"{where}.type", "needs the Redis client", "Install event-bridge[redis]")
