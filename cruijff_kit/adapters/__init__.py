"""the world: slurm.py local.py run_store.py clock.py audit_log.py model_hub.py site_probe.py shelf.py inference.py"""
