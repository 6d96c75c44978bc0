"""what a job may use on the node: config, device, metrics, checkpoints, signals, inspect's model provider"""
