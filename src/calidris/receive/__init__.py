"""Bytes in: what arrives is admitted, made durable, decoded and handed to the engine, and only then acknowledged."""
