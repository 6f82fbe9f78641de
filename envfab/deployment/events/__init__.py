"""Events: what happens in rollouts, told to the receivers that the fabfile names."""
