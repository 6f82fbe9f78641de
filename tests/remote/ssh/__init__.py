"""What `envfab.remote.ssh` promises."""
