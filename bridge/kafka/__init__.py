"""What the Kafka adapters share. Only `options` may be imported without the client."""
