"""Takes OpenTelemetry traces for the model usage in them."""
