"""What reaches a Redis or Valkey: one server, one that Sentinels watch over, or a cluster."""
