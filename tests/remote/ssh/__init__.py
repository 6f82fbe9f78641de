"""What `envfab.managed.ssh` promises."""
