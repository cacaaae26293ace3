"""Hosts with GPUs, for tests on hosts without."""
