"""Planning: requirements, a probe and a catalogue of wheels make a plan. Pure functions, no I/O."""
