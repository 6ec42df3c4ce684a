"""OpenAI-compatible way to the model servers that an administrator named."""
