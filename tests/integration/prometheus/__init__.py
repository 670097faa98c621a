"""What a real Prometheus makes of the bridge's metrics and rules."""
