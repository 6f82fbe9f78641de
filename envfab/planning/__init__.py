"""What should be: from requirements, a probe and a catalogue of wheels to a plan. Pure functions, no I/O."""
