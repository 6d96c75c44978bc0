"""The two files that make an adapter directory in peft's format."""

__all__ = ["ADAPTER_CONFIG", "ADAPTER_WEIGHTS"]

ADAPTER_CONFIG = "adapter_config.json"
"""Shape of the update and the base it belongs to."""

ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""Its weights."""
