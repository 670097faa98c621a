"""What the RabbitMQ adapters share: connecting, decoding, topology, publishing. Needs the extra `rabbitmq`."""
