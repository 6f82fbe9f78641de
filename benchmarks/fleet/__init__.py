"""envfab beside its peers: one set of SSH hosts, one set of wheels, several tools in turn. `make bench` runs it.

`hosts` makes the hosts and `wheelhouse` the wheels; `contenders` are the tools, `workloads` what they are to do,
`states` how hosts look before and after; `measuring` takes the figures, `running` goes through the rounds on a
`stage`. What comes out is `results`, which `bars` judges and `report`, `plot` and `publishing` show.
"""
