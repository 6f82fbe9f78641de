"""Logs of rollouts: one folder a rollout, on the machine that runs `fab`."""
