"""the world: local.py run_store.py clock.py audit_log.py model_hub.py lora_adapters.py inference.py tracking.py"""
