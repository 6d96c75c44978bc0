"""The real Claude Code against a scripted model, over loopback."""
