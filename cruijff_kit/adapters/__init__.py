"""the world: slurm.py local.py run_store.py clock.py audit_log.py model_hub.py inference.py"""
